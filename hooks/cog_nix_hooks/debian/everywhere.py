"""Programs that every image has: those of the base system's tools."""

_NAMES = (
    "add-shell arch awk b2sum base32 base64 basename basenc bash bashbug cat chcon chgrp chmod chown "
    "chroot cksum clear_console cmp comm cp csplit cut dash date dd df diff diff3 dir dircolors "
    "dirname dnsdomainname domainname dpkg dpkg-deb dpkg-divert dpkg-fsys-usrunmess "
    "dpkg-maintscript-helper dpkg-query dpkg-realpath dpkg-split dpkg-statoverride dpkg-trigger du "
    "echo egrep env expand expr factor false fgrep find fmt fold getconf getent grep groups gunzip "
    "gzexe gzip head hostid hostname iconv iconvconfig id install installkernel ischroot join ld.so "
    "ldconfig ldd link ln locale localedef logname ls mawk md5sum md5sum.textutils mkdir mkfifo mknod "
    "mktemp mv nawk nice nisdomainname nl nohup nproc numfmt od paste pathchk pinky pldd pr printenv "
    "printf ptx pwd rbash readlink realpath remove-shell rgrep rm rmdir rmt-tar run-parts runcon "
    "savelog sdiff sed seq sh sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort "
    "split start-stop-daemon stat stdbuf stty sum sync tac tail tar tarcat tee tempfile test timeout "
    "tini tini-static touch tr true truncate tsort tty tzselect uname uncompress unexpand uniq unlink "
    "update-alternatives update-shells users vdir wc which which.debianutils who whoami xargs yes "
    "ypdomainname zcat zcmp zdiff zdump zegrep zfgrep zforce zgrep zic zless zmore znew "
)

EVERYWHERE = frozenset(_NAMES.split())
"""From Debian 12 and 13; ``awk`` and ``which`` are alternatives of theirs."""
