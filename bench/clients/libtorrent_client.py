# SPDX-License-Identifier: GPL-2.0-or-later
#
# A small client with libtorrent. It downloads one torrent and reports the bytes received
# on a port of 127.0.0.1. The one argument is a JSON file with the settings.

import http.server
import json
import signal
import sys
import threading
import time

import libtorrent

with open(sys.argv[1], encoding="utf-8") as f:
    config = json.load(f)

session = libtorrent.session(config["settings"])
params = libtorrent.add_torrent_params()
params.ti = libtorrent.torrent_info(config["torrent"])
params.save_path = config["files"]
if config["seed"]:
    params.flags |= libtorrent.torrent_flags.seed_mode
handle = session.add_torrent(params)
if config["cert"]:
    handle.set_ssl_certificate(config["cert"], config["key"], config["dh"])


def invite():
    """Tells the torrent of a peer, which it may have lost."""
    while True:
        handle.connect_peer(tuple(config["peer"]))
        time.sleep(2)


if config["peer"]:
    threading.Thread(target=invite, daemon=True).start()


class Account(http.server.BaseHTTPRequestHandler):
    """Answers with how many bytes of pieces have come."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(handle.status().total_payload_download).encode())

    def log_message(self, *args):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.HTTPServer(("127.0.0.1", config["rpc"]), Account).serve_forever()
