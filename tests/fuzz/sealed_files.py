"""Model files that are changed and then sealed: their checksum is right, whatever they hold.

Nearly every change of a byte is stopped by the checksum. These changes get past it.
"""

import hashlib
import io
import json
import zipfile

import numpy as np
from byte_fuzzing import LONGEST, changed_bytes

from shallow_ae._model_files.container import _DTYPES

_ODD = [None, True, False, 0, 1, -1, 2, 3, 2**31, 2**63, 10**12, 1e308, -0.5, "", "x", [], {}]
_NUMBERS = [0, 1, -1, 2, 3, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, np.nan, np.inf, 1e300, -1e-320]
_DTYPE_NAMES = ["<f4", "<f8", "O", "|V4", "<U3", "<M8[ns]", "<m8[D]", "i4,f8", "(2,3)i4", ">i8"]


def parts_of(data):
    """Return the JSON, the descriptions of the arrays and their bytes; None if there are none."""
    try:
        n = int.from_bytes(data[:8], "little")
        fields = json.loads(data[8 : 8 + n])
        document = json.loads(fields.pop("__metadata__")["shallow_ae"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return document, fields, bytearray(data[8 + n :])


def sealed(document, fields, data):
    """Return a model file of these parts, with the checksum that belongs to it."""
    metadata = {"shallow_ae": json.dumps(document), "sha256": "0" * 64}
    text = json.dumps({"__metadata__": metadata, **fields}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(8, "little") + text + bytes(data)
    digest = hashlib.sha256(whole).hexdigest().encode()
    return whole.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest, 1)


def mutated(data, rng):
    """Return a sealed file in which values, arrays or their descriptions have changed."""
    parts = parts_of(data)
    if parts is None or rng.random() < 0.02:
        return changed_bytes(data, rng)
    document, fields, own = parts
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        change = rng.choice([_change_document] * 4 + [_change_array] * 4 + [_change_field])
        change(document, fields, own, rng)
    result = sealed(document, fields, own)
    return result if len(result) <= LONGEST else data


def _change_document(document, fields, _, rng):
    places = list(_places(document)) if isinstance(document, dict | list) else []
    if not places:
        return
    holder, key = rng.choice(places)
    value, kind = holder[key], rng.randrange(10)
    if kind < 3 and isinstance(value, (int, float, str)):
        holder[key] = _near(value, fields, rng)
    elif kind < 5:
        holder[key] = rng.choice(_ODD)
    elif kind < 8:  # a value from another place, of which a copy is made
        other, place = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[place]))
    elif kind == 8:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(rng.choice([value, *_ODD]))))
    else:
        holder[rng.choice(["@", "x", "value", str(key)])] = rng.choice(_ODD)


def _places(node):
    """Yield where the values of JSON are: their dict or list, and their key in it."""
    entries = list(node.items() if isinstance(node, dict) else enumerate(node))
    for key, value in entries:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _near(value, fields, rng):
    if isinstance(value, str):
        names = [*fields, *_DTYPE_NAMES, "array", "csr", "ids", "tuple", "estimator", "passthrough"]
        return rng.choice([rng.choice(names), value[:-1], value + "0", changed_text(value, rng)])
    return rng.choice([-value, value + 1, value - 1, value * 2, 10**9 * value, float(value)])


def changed_text(text, rng):
    return changed_bytes(text.encode(), rng).decode("utf-8", "replace")


def _change_field(_, fields, own, rng):
    """Change the description of an array: its type, shape or place."""
    if not fields:
        return
    name, other = rng.choice(list(fields)), rng.choice(list(fields))
    field = fields[name] = json.loads(json.dumps(fields[name]))
    kind = rng.randrange(6)
    if kind == 0:
        field["dtype"] = rng.choice([*_DTYPES, "F8_E4M3"])
    elif kind == 1:
        field["shape"] = [rng.choice([0, 1, 2, 3, -1, 2**62, *field["shape"]])]
    elif kind == 2:
        field["data_offsets"] = [n + rng.choice([0, 8, -8, 4, 1]) for n in field["data_offsets"]]
    elif kind == 3:
        fields[name] = json.loads(json.dumps(fields[other]))
    elif kind == 4:
        del fields[name]
    else:
        _resize(field, own, rng)


def _resize(field, own, rng):
    """Give an array another number of entries, at the end of the file."""
    if field.get("dtype") not in _DTYPES:
        return
    n, size = rng.choice([0, 1, 2, 3, 17, 21]), np.dtype(_DTYPES[field["dtype"]]).itemsize
    own.extend(bytes(-len(own) % 8))
    start = len(own)
    own.extend(rng.choice([bytes(n * size), rng.randbytes(n * size)]))
    field.update(shape=[n], data_offsets=[start, start + n * size])


def _change_array(_, fields, own, rng):
    """Change numbers of an array, or the JSON in bytes of skops."""
    try:
        name = rng.choice(list(fields))
        start, stop = fields[name]["data_offsets"]
        dtype = np.dtype(_DTYPES[fields[name]["dtype"]])
        values = np.frombuffer(bytes(own[start:stop]), dtype).copy()
    except (IndexError, KeyError, TypeError, ValueError):
        return
    if values[:2].tobytes() == b"PK":
        changed = _changed_archive(values.tobytes(), rng)
        fields[name] = {"dtype": "U8", "shape": [len(changed)]}
        own.extend(bytes(-len(own) % 8))
        fields[name]["data_offsets"] = [len(own), len(own) + len(changed)]
        return own.extend(changed)
    for _ in range(rng.choice([1, 1, 2, 5])):
        if values.size:
            _change_number(values, rng)
    own[start:stop] = values.tobytes()
    return None


def _change_number(values, rng):
    place, other = rng.randrange(values.size), rng.randrange(values.size)
    with np.errstate(all="ignore"):
        kind = rng.randrange(4)
        if kind == 0:
            values[place] = np.float64(rng.choice(_NUMBERS)).astype(values.dtype)
        elif kind == 1:
            values[place] = values[other]
        elif kind == 2:
            values[[place, other]] = values[[other, place]]
        else:
            own = bytearray(values.tobytes())
            own[rng.randrange(len(own))] ^= 1 << rng.randrange(8)
            values[:] = np.frombuffer(bytes(own), values.dtype)


def _changed_archive(data, rng):
    """Return bytes of skops whose schema has other values."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        schema = json.loads(members["schema.json"])
        _change_document(schema, {}, None, rng)
    except Exception:  # an archive that was damaged before
        return changed_bytes(data, rng)
    members["schema.json"] = json.dumps(schema).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return packed.getvalue()
