"""Install a wheel or an sdist alone in a fresh environment, and run the README there.

python .ci/dist.py dist/*.whl dist/*.tar.gz
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

UV = [sys.executable, "-m", "uv"]  # installs in a fraction of pip's time
README = Path(__file__).parents[1] / "README.md"
RELATIVE = r"\]\((?!https?:|#)[^)]+\)|\bsrc(?:set)?=\"(?!https?:)[^\"]+\""
DESCRIPTION = (
    "from importlib.metadata import metadata; print(metadata('shallow-ae')['Description'])"
)


def check(distribution: Path, folder: Path) -> None:
    """Install the distribution outside the repository, and use it as a first user does."""
    environment, program = folder / "environment", folder / "readme.py"
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    (python,) = [*environment.glob("bin/python"), *environment.glob("Scripts/python.exe")]

    def run(*arguments: object) -> str:
        """Run Python away from the repository and, by -I, without the user's own packages."""
        command = [python, "-I", "-X", "utf8", *arguments]
        result = subprocess.run(
            command, cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        return result.stdout

    install = [*UV, "pip", "install", "--quiet", "--python", python, distribution.resolve()]
    subprocess.run(install, cwd=folder, check=True)
    if broken := re.findall(RELATIVE, run("-c", DESCRIPTION)):
        sys.exit(
            f"{distribution.name} describes itself with relative links, which lead nowhere on the "
            f"page of a package index: {broken}. Extend `substitutions` in pyproject.toml."
        )
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    if not blocks:
        sys.exit("README.md has no block of Python, and should show how to start.")
    program.write_text("\n".join(blocks), "utf-8")
    print(f"{distribution.name}\n{run(program)}")


for name in sys.argv[1:]:
    with tempfile.TemporaryDirectory() as temporary:
        check(Path(name), Path(temporary))
