from setuptools import Extension, setup

setup(ext_modules=[Extension("c_extension", ["src/module.c"], libraries=["z"])])
