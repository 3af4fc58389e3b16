"""The system packages of Cog's own base image, by their names in Debian."""

from __future__ import annotations

PACKAGES = (
    "build-essential",
    "cmake",
    "curl",
    "ffmpeg",
    "findutils",
    "g++",
    "gcc",
    "git",
    "libavcodec-dev",
    "libcairo2-dev",
    "libfontconfig1",
    "libgirepository1.0-dev",
    "libgl1",
    "libglib2.0-0",
    "libglx-mesa0",
    "libopencv-dev",
    "libsm6",
    "libsndfile1",
    "libssl-dev",
    "libunistring-dev",
    "libxext6",
    "libxrender1",
    "sox",
    "unzip",
    "wget",
    "zip",
    "zstd",
)
"""What upstream's base image has, version 0.23.1 (``pkg/dockerfile/base.go``)."""
