"""Sphinx configuration of the documentation site: `make docs` builds it without network access."""

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import shallow_ae

DOCS = Path(__file__).parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/shallow-ae/shallow_ae"
sys.path.insert(0, str(DOCS / "_ext"))

project = "shallow_ae"
author = "The shallow_ae developers"
project_copyright = author
version = release = shallow_ae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
    "github_markdown",
    "inventories",
    "jukebox_site",
]
exclude_patterns = ["_build", "_ext", "inventories", "jukebox", "images", "gallery/**/*.ipynb"]
default_role = "code"  # docstrings mark names of parameters with single backticks
suppress_warnings = ["config.cache"]  # a function in `autosummary_context` cannot be cached

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

templates_path = ["_templates"]
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say more
numpydoc_show_class_members = False  # the templates list them
numpydoc_class_members_toctree = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "shallow_ae"
html_static_path = ["_static"]
html_extra_path = ["_build/extra"]  # the jukebox
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": project},
    "github_url": REPOSITORY,
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "peers": []},  # whose tables are wide
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
    "back_to_top_button": False,
}
html_context = {"default_mode": "auto"}
html_sidebars = {
    page: [] for page in ("index", "get_started", "jukebox", "model", "peers", "changelog")
}

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]plot_",
    "write_computation_times": False,
    "ignore_pattern": r"(^|[\\/])(?!plot_)\w+\.py$",
    "nested_sections": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
    "min_reported_time": 10_000,
    "reset_modules": ("gallery_settings.set_style",),
    "within_subsection_order": "gallery_settings.order",
    "abort_on_example_error": True,
    "doc_module": ("shallow_ae",),
    "reference_url": {"shallow_ae": None},
    "backreferences_dir": "gallery/backreferences",
}


def of_this_project(module: str, class_name: str, name: str) -> bool:
    """Tell whether a member of a class is documented here, and not by scikit-learn."""
    member: Any = getattr(getattr(import_module(module), class_name), name, None)
    member = getattr(member, "fget", member)
    source = getattr(inspect.unwrap(member) if callable(member) else member, "__module__", None)
    return name[0] != "_" and (source or "").startswith("shallow_ae")


autosummary_context = {"of_this_project": of_this_project}


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return the address of the source of a Python object, with its lines."""
    if domain != "py" or not info["module"]:
        return None
    value: Any = import_module(info["module"])
    for name in info["fullname"].split("."):
        value = getattr(value, name, None)
    if isinstance(value, property):
        value = value.fget
    try:
        value = inspect.unwrap(value)
        file = Path(inspect.getsourcefile(value) or "").resolve()
        lines, first = inspect.getsourcelines(value)
        path = file.relative_to(ROOT.resolve()).as_posix()
    except (TypeError, OSError, ValueError):  # a constant, or an inherited method of scikit-learn
        return None
    return f"{REPOSITORY}/blob/main/{path}#L{first}-L{first + len(lines) - 1}"
