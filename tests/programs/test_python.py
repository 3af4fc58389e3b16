"""Which programs Python source starts: what stands at a command's place, and nothing else."""

from __future__ import annotations

import textwrap

import pytest

from cog_nix.programs.calls import CALLS
from cog_nix.programs.mentions import may_start
from cog_nix.programs.python import read
from cog_nix_hooks.debian.everywhere import EVERYWHERE

_IMPORTS = """
import asyncio, os, platform, pexpect, shlex, shutil, subprocess, sys
import subprocess as sp
from subprocess import PIPE, Popen, check_output as capture
from os import *
"""


def _read(source: str) -> list[str]:
    """Return what a module starts, without what every image has."""
    found = read((_IMPORTS + textwrap.dedent(source)).encode())
    return [one for _, one in found if isinstance(one, str) and one not in EVERYWHERE | {"python"}]


@pytest.mark.parametrize(
    ("source", "started"),
    [
        ('subprocess.run(["ffmpeg", "-i", path])', ["ffmpeg"]),
        ('subprocess.check_call(("ffmpeg", path), stdout=PIPE)', ["ffmpeg"]),
        ('subprocess.call(args=["ffmpeg"])', ["ffmpeg"]),
        ('sp.run("ffmpeg")', ["ffmpeg"]),
        ('capture(["git", "rev-parse", "HEAD"])', ["git"]),
        ('Popen("wget -q https://example.org", shell=True)', ["wget"]),
        ('sp.run(["ffmpeg -i x && sox y"], shell=True)', ["ffmpeg", "sox"]),
        ('sp.run(f"cd {folder} && wget -q {url} | jq .", shell=True)', ["wget", "jq"]),
        ('sp.run("sox a b", shell=quiet)', ["sox"]),
        ('sp.getoutput("sox --info x")', ["sox"]),
        ('os.system("unzip -q %s -d %s" % (a, b))', ["unzip"]),
        ('os.system("unzip -q {} -d {}".format(a, b))', ["unzip"]),
        ('os.system("unzip " + a + " -d " + b)', ["unzip"]),
        ('system("unzip x")', ["unzip"]),
        ('os.popen("sox x").read()', ["sox"]),
        ('os.execvp("sox", ["sox"])', ["sox"]),
        ('os.execv("/usr/bin/sox", ["sox"])', ["sox"]),
        ('os.spawnlp(os.P_WAIT, "sox", "sox", "x")', ["sox"]),
        ('os.posix_spawnp("sox", ["sox"], os.environ)', ["sox"]),
        ('asyncio.create_subprocess_exec("sox", "x")', ["sox"]),
        ('asyncio.create_subprocess_shell("nohup sox x &")', ["sox"]),
        ('pexpect.spawn("bc -l")', ["bc"]),
        ('if shutil.which("ffmpeg") is None: raise RuntimeError', ["ffmpeg"]),
        ('tool = shutil.which("aria2c") or "wget"\nsp.run([tool, url])', ["aria2c", "wget"]),
        ('sp.run(shlex.split("espeak -w x"))', ["espeak"]),
        ('sp.run("espeak -w x".split())', ["espeak"]),
        ('sp.run(" ".join(["espeak", "-w", x]), shell=True)', ["espeak"]),
        ('sp.run(["ffmpeg"] + options + [x])', ["ffmpeg"]),
        ('sp.run(["ffmpeg", *options])', ["ffmpeg"]),
        ('FFMPEG = "ffmpeg"\ndef f(x):\n    sp.run([FFMPEG, x])', ["ffmpeg"]),
        ('FFMPEG = "ffmpeg"\nos.system(f"{FFMPEG} -i {x}")', ["ffmpeg"]),
        ('COMMAND = ["sox", "-x"]\nsp.run(COMMAND + [x])', ["sox"]),
        ('command = "sox"\nif loud:\n    command = "lame"\nsp.run([command])', ["sox", "lame"]),
        ('command = "gs x"\ncommand = command + " y"\nos.system(command)', ["gs"]),
        ('def f(tool="sox"):\n    sp.run([tool])', ["sox"]),
        ('for tool in ("sox", "lame"):\n    sp.run([tool])', ["sox", "lame"]),
        ('a, b = "sox", "lame"\nsp.run([b])', ["lame"]),
        ('class A:\n    tool = "sox"\n    def f(self):\n        sp.run([self.tool])', ["sox"]),
        (
            'class A:\n def __init__(self):\n  self.tool = "sox"\n def f(self):\n  sp.run([self.tool])',
            ["sox"],
        ),
        ('sp.run([os.environ.get("SOX", "sox"), x])', ["sox"]),
        ('sp.run(["ffmpeg" if a else "avconv"])', ["ffmpeg", "avconv"]),
        ('sp.run(["bash", "-c", "set -e; ffmpeg -i x"])', ["ffmpeg"]),
        ('sp.run(["timeout", "-k", "1", "5", "ffmpeg"])', ["ffmpeg"]),
        ('sp.run(["env", "A=b", "nice", "-n", "5", "ffmpeg"])', ["ffmpeg"]),
        ('sp.run(["xvfb-run", "-a", "-s", "-screen 0 1x1x24", "blender", "-b"])', ["xvfb-run", "blender"]),
        ('sp.run(["/usr/bin/ffmpeg"])', ["ffmpeg"]),
        ('def run(command):\n    sp.run(command, shell=True)\nrun(f"ffmpeg -i {x}")', ["ffmpeg"]),
        ('def run(*, x, command=None): pass\ndef go(command):\n    sp.run(command)\ngo(["sox"])', ["sox"]),
        (
            'class A:\n def _go(self, text):\n  sp.run(text.split())\n def f(self):\n  self._go("sox a")',
            ["sox"],
        ),
        ('def inner(c):\n    os.system(c)\ndef outer(c):\n    inner(c)\nouter("sox a")', ["sox"]),
        ('if sys.platform == "linux":\n    sp.run(["sox"])', ["sox"]),
        ('try:\n    sp.run(["sox"])\nexcept FileNotFoundError:\n    raise RuntimeError("no sox")', ["sox"]),
        ('try:\n    sp.run(["sox"])\nexcept sp.CalledProcessError:\n    pass', ["sox"]),
    ],
)  # fmt: skip
def test_what_is_started(source: str, started: list[str]) -> None:
    assert _read(source) == started


@pytest.mark.parametrize(
    "source",
    [
        'print("ffmpeg -i x")',
        '"ffmpeg"',
        '# sp.run(["ffmpeg"])',
        'x = ["ffmpeg", "-i"]',
        'sp.run(["echo", "ffmpeg"])',
        "sp.run([sys.executable, 'ffmpeg'])",
        'sp.run([folder + "/ffmpeg"])',
        'sp.run([f"{folder}/ffmpeg"])',
        'sp.run(["./ffmpeg"])',
        'sp.run(["/opt/ffmpeg/bin/ffmpeg"])',
        'sp.run(["/usr/local/bin/ffmpeg"])',
        "sp.run([tool, 'ffmpeg'])",
        "sp.run(command)",
        'sp.run("ffmpeg -i x")',
        'os.execv("ffmpeg", [])',
        'os.path.join("ffmpeg")',
        'os.system(f"{tool} ffmpeg")',
        'os.system("echo ffmpeg > sox; # jq")',
        "os.system(\"grep '|' ffmpeg\")",
        "os.system(\"python -c 'import os; sox'\")",
        'os.system("cat <<EOF\\nffmpeg\\nEOF")',
        'os.system("case $x in ffmpeg) ;; esac")',
        'os.system("unclosed \' ffmpeg; sox")',
        'class subprocess2:\n    run = print\nsubprocess2.run(["ffmpeg"])',
        'def run(x): pass\nrun(["ffmpeg"])',
        'self.run(["ffmpeg"])',
        'if sys.platform == "darwin":\n    sp.run(["open"])',
        'if platform.system() == "Windows":\n    sp.run(["start"])',
        'if os.name == "nt" or sys.platform.startswith("win"):\n    sp.run(["start"])',
        'if os.name == "posix":\n    pass\nelse:\n    sp.run(["start"])',
        'try:\n    sp.run(["sox"])\nexcept FileNotFoundError:\n    pass',
        "def f(tool):\n    sp.run([tool])",
        "for tool in tools():\n    sp.run([tool])",
        'tool = "sox"\ndef f(tool):\n    sp.run([tool])',
        'sp.run(["sox.exe"])',
        'sp.run([""])',
        "sp.run([])",
        "sp.run()",
        "sp.run(*commands)",
        'sp.run(["ffmpeg -i x"])',
    ],
)  # fmt: skip
def test_what_is_not(source: str) -> None:
    assert _read(source) == []


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_call_is_noticed_before_the_source_is_parsed(name: str) -> None:
    module, _, function = name.rpartition(".")
    assert may_start(f"from {module} import {function} as other".encode())


def test_lines_are_those_of_the_calls() -> None:
    source = 'import os\n\n\ndef f():\n    os.system(\n        "jq ."\n    )\n'
    assert read(source.encode()) == [(5, "jq")]


@pytest.mark.parametrize(
    "data",
    [
        b"import subprocess\nsubprocess.run(['jq']",
        b"import subprocess\n\0",
        b"import subprocess\n# caf\xe9\nsubprocess.run(['jq'])",
        b"import subprocess\nx = " + b"(" * 5000 + b"1" + b")" * 5000,
        b"import subprocess\nsubprocess.run(" + b"-" * 3000 + b"1)",
    ],
    ids=["no python", "null", "latin-1", "nested", "minus"],
)
def test_what_cannot_be_read_starts_nothing(data: bytes) -> None:
    assert read(data) == []


def test_names_that_are_bound_in_circles_end() -> None:
    turns = "\n".join(f"a{n} = a{(n + 1) % 40} + b{n}; b{n} = a{n} + a{(n + 7) % 40}" for n in range(40))
    assert _read(f"{turns}\nos.system(a0)\nos.system('jq .')") == ["jq"]


def test_a_long_sum_is_followed_to_its_beginning() -> None:
    assert _read(f"os.system('jq ' + {' + '.join(['x'] * 300)})") == ["jq"]
