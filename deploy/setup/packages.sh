#!/usr/bin/env bash
# Installs by apt the system packages that the build and the tests need and this machine lacks. Where it may
# not, or there is no apt, it names them in one line and fails: a suite without its browser is no suite.
set -euo pipefail
cd "$(dirname "$0")"

packages=()
command -v cc >/dev/null 2>&1 || packages+=(build-essential)
# DTLS of the forwarding benchmark's load (tests/bench/forwarding/load).
[ -e /usr/include/openssl/ssl.h ] && command -v pkg-config >/dev/null 2>&1 || packages+=(libssl-dev pkg-config)
# Debian keeps ensurepip, which venv needs, in a package of its own.
"$(./python.sh)" -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
# Chromium draws nothing without a font.
command -v chromium >/dev/null 2>&1 || packages+=(chromium fonts-liberation)
command -v firefox-esr >/dev/null 2>&1 || packages+=(firefox-esr)
# Namespaces and devices for lessons over bad lines (tests/line), and a TURN server.
# (Debian keeps ip where only root looks.)
command -v ip >/dev/null 2>&1 || [ -x /usr/sbin/ip ] || packages+=(iproute2)
command -v turnserver >/dev/null 2>&1 || packages+=(coturn)
# An encoder and a player by WHIP and WHEP that others wrote (tests/whip): webrtcbin, from the system's Python.
webrtcbin='
import gi
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
for name in ("webrtcbin", "nicesrc", "y4mdec", "vp8enc", "opusenc"):
    assert Gst.ElementFactory.find(name), name
'
/usr/bin/python3 -c "$webrtcbin" >/dev/null 2>&1 || packages+=(
    python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
)

((${#packages[@]})) || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null 2>&1 || { ((${#as_root[@]})) && ! sudo -n true >/dev/null 2>&1; }; then
    echo "Missing system packages, and apt can't be used here: install ${packages[*]} first." >&2
    exit 1
fi
echo "== system packages: ${packages[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${packages[@]}" >/dev/null
