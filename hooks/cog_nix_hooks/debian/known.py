"""Packages of programs that models start: what no index tells, or what is known without asking one.

The archive's Contents index of an architecture leaves out packages that are for all of them, and alternatives
(``update-alternatives``), which maintainer scripts make. Each entry was looked up in Debian 12 and 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_THE_SAME_NAME = (
    "autoconf automake bc bcftools bedtools bison blender bowtie2 bwa bzip2 chromium clang cmake colmap "
    "curl dos2unix enca espeak espeak-ng expect ffmpeg flac flex fluidsynth g++ gcc gfortran gifsicle git "
    "git-lfs gpg htop inkscape jpegoptim jq kalign lame latexmk less lilypond lsof lz4 m4 mafft make "
    "mediainfo memcached meshlab minimap2 mount mpg123 mpg321 muscle musescore ncat nginx npm numactl "
    "ocrmypdf octave openscad openssl optipng pandoc patch pigz pngquant potrace povray qpdf rclone "
    "recode redis-server rename rsync ruby samtools screen sox sqlite3 sshfs swig tidy timidity tmux "
    "traceroute tree unoconv unzip wget x264 x265 xmlstarlet xxd yq yt-dlp zip zstd "
)
_OTHERS: Mapping[str, str] = {
    "7zip p7zip-full": "7z 7za",
    "abcmidi": "abc2midi",
    "aria2": "aria2c",
    "aubio-tools": "aubio",
    "autodock-vina": "vina",
    "awscli": "aws",
    "bind9-dnsutils": "dig nslookup",
    "bind9-host": "host",
    "binutils": "ar as ld nm objdump readelf strings strip",
    "bsdextrautils": "column hexdump",
    "bsdutils": "script",
    "bzip2": "bunzip2 bzcat",
    "cargo": "cargo",
    "chromium": "chromium-browser",
    "chromium-driver": "chromedriver",
    "clang": "clang++",
    "default-jdk-headless": "javac",
    "default-jre-headless": "java",
    "dssp": "mkdssp",
    "ffmpeg": "ffplay ffprobe",
    "firefox-esr": "firefox",
    "fontconfig": "fc-cache fc-list fc-match",
    "fuse3": "fusermount fusermount3",
    "g++": "c++",
    "gcc": "cc",
    "gettext": "msgfmt",
    "gettext-base": "envsubst gettext",
    "ghostscript": "gs",
    "gnuplot-nox": "gnuplot",
    "golang-go": "go",
    "gpac": "MP4Box",
    "graphicsmagick": "gm",
    "graphviz": "dot neato",
    "gromacs": "gmx",
    "gstreamer1.0-tools": "gst-launch-1.0",
    "hhsuite": "hhblits hhsearch",
    "hmmer": "hmmalign hmmbuild hmmsearch jackhmmer",
    "imagemagick": "animate compare composite convert identify import magick mogrify montage",
    "inetutils-telnet": "telnet",
    "iproute2": "ip ss",
    "iputils-ping": "ping",
    "libimage-exiftool-perl": "exiftool",
    "libreoffice-nogui": "libreoffice soffice",
    "librsvg2-bin": "rsvg-convert",
    "libtool": "libtoolize",
    "libtool-bin": "libtool",
    "libxml2-utils": "xmllint",
    "lua5.4": "lua",
    "mariadb-client": "mysql",
    "mkvtoolnix": "mkvextract mkvmerge",
    "mount": "umount",
    "mupdf-tools": "mutool",
    "ncbi-blast+": "blastn blastp makeblastdb",
    "net-tools": "ifconfig netstat",
    "netcat-openbsd": "nc",
    "ninja-build": "ninja",
    "nodejs": "node",
    "npm": "npx",
    "openbabel": "obabel",
    "openmpi-bin": "mpiexec mpirun",
    "openssh-client": "scp sftp ssh ssh-keygen ssh-keyscan",
    "opus-tools": "opusdec opusenc",
    "parallel": "parallel",
    "pciutils": "lspci",
    "perl": "perl",
    "php-cli": "php",
    "pkgconf": "pkg-config",
    "poppler-utils": "pdfimages pdfinfo pdftocairo pdftoppm pdftotext pdfunite",
    "postgresql-client": "psql",
    "procps": "free kill pgrep pkill ps top uptime vmstat",
    "protobuf-compiler": "protoc",
    "psmisc": "fuser killall",
    "r-base-core": "R Rscript",
    "redis-tools": "redis-cli",
    "rubberband-cli": "rubberband",
    "rustc": "rustc",
    "sox": "play rec soxi",
    "supervisor": "supervisord",
    "sysstat": "iostat",
    "tcl": "tclsh",
    "tesseract-ocr": "tesseract",
    "texlive-binaries": "bibtex",
    "texlive-extra-utils": "pdfcrop",
    "texlive-latex-base": "latex pdflatex",
    "texlive-luatex": "lualatex",
    "texlive-xetex": "xelatex",
    "util-linux": "flock lsblk lscpu more setsid taskset",
    "uuid-runtime": "uuidgen",
    "vorbis-tools": "oggdec oggenc",
    "webp": "cwebp dwebp gif2webp",
    "wkhtmltopdf": "wkhtmltoimage wkhtmltopdf",
    "xvfb": "Xvfb xvfb-run",
    "xz-utils": "lzma unxz xz xzcat",
}
"""Programs by package; by packages of several suites, of which the first that there is is taken."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in _OF_THE_SAME_NAME.split()},
    **{
        program: tuple(packages.split())
        for packages, programs in _OTHERS.items()
        for program in programs.split()
    },
}
"""The packages that may have a program, the first one first."""

_OF_NO_USE = (
    "apt apt-cache apt-get aptitude brew clear code conda dpkg-reconfigure docker docker-compose "
    "dmesg dialog explorer gnome-open gnome-terminal host-spawn insmod journalctl kubectl logger "
    "lsmod mamba micromamba modprobe mpv nano notify-send nvidia-ctk nvidia-debugdump nvidia-settings "
    "nvidia-smi open osascript pbcopy pbpaste podman poweroff powershell pwsh reboot rmmod rocm-smi "
    "rocminfo sacct salloc sbatch scancel scontrol service shutdown sinfo snap squeue srun su sudo "
    "systemctl systemd-run tput vi vim vlc wl-copy xclip xdg-mime xdg-open xdg-settings xsel xterm "
    "qsub qstat bsub tasklist taskkill wmic reg where "
)

OF_NO_USE = frozenset(_OF_NO_USE.split())
"""Programs of a desktop, a cluster, another system, an administrator, or NVIDIA's driver: a container has no
use for them, or gets them from its host."""
