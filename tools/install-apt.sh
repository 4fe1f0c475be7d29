#!/usr/bin/env bash
# Installs the system packages Tandem needs and that are missing. Debian 12, Ubuntu 24.04 and newer.
#
#   tools/install-apt.sh build   what `make build` and `make demo` need: venv, Python headers, a C compiler
#   tools/install-apt.sh demo    SIPp, the phones of `make demo` where pjsua2 has no wheel
#   tools/install-apt.sh test    that, and what `make test` needs beside it
set -euo pipefail

purpose=${1:-}
python=${PYTHON:-python3}
missing=()

need() { # need PACKAGE REASON COMMAND...: PACKAGE is missing unless COMMAND succeeds
  local package=$1 reason=$2
  shift 2
  "$@" >/dev/null 2>&1 && return
  echo "  $package: $reason"
  missing+=("$package")
}

# The headers and venv must be those of the interpreter in use. A python3 of one's own (pyenv, /usr/local) brings both.
python_package() {
  case $(command -v "$python") in
    /usr/bin/python3.*) echo "$(basename "$python")-$1" ;;
    *) echo "python3-$1" ;;
  esac
}
has_headers() {
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }
has_kamailio_tls() { compgen -G "/usr/lib/*/kamailio/modules/tls.so"; }

need_build() {
  need python3 "Tandem is written in it" command -v "$python"
  need "$(python_package venv)" "makes the environment .venv" "$python" -c 'import venv, ensurepip'
  need "$(python_package dev)" "headers for the compiled media engine" has_headers
  need gcc "compiles the media engine" command -v gcc
  need libc6-dev "headers of the C library" test -e /usr/include/stdio.h
}
need_demo() {
  need sip-tester "SIPp, plays scripted SIP trunks and phones" command -v sipp
}
need_test() {
  need_demo
  need baresip-core "a SIP phone of another make, for the interop tests" command -v baresip
  need kamailio "a SIP proxy and registrar in front of Tandem, for the interop tests" command -v kamailio
  need kamailio-tls-modules "the same over TLS" has_kamailio_tls
  need linphone-cli "a SIP phone of a third make, for the interop tests" command -v linphone-daemon
  need postgresql "the tests start a database of their own in a temporary folder" has_postgres
}

case $purpose in
  build) need_build ;;
  demo) need_demo ;;
  test) need_build && need_test ;;
  *)
    echo "usage: $0 build|demo|test" >&2
    exit 2
    ;;
esac

if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
echo "Tandem ($purpose) installs these with apt-get: ${missing[*]}"

if ! command -v apt-get >/dev/null; then
  echo "There is no apt-get here: please install the packages' equivalents by hand." >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Not root and no sudo: please run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
