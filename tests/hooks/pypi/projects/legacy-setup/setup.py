from setuptools import setup

setup(
    name="Legacy.Setup",
    version="0.9",
    py_modules=["legacy_setup"],
    scripts=["legacy-hello"],
)
