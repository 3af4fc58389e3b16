from pathlib import Path

import torch_like
from setuptools import setup

Path("flash_like.py").write_text(f'BUILT_WITH = "{torch_like.__version__}"\n')

setup(name="flash-like", version="1.2", py_modules=["flash_like"], install_requires=["torch-like"])
