# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs Deluge's daemon with one torrent and reports the bytes received on a port of
# 127.0.0.1. The one argument is a JSON file with the settings. The daemon's own settings
# are in the folder that this file names.

import base64
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    config = json.load(f)
sys.argv = ["deluged", "-d", "-c", config["dir"], "-u", "127.0.0.1", "-L", "warning"]

from deluge.core.daemon_entry import start_daemon  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.web import resource, server  # noqa: E402

daemon = start_daemon(skip_start=True)
core = daemon.core
core.session.apply_settings(config["session"])


class Account(resource.Resource):
    """Answers with how many bytes of pieces have come."""

    isLeaf = True

    def render_GET(self, request):
        torrents = core.torrentmanager.torrents.values()
        return str(sum(t.handle.status().total_payload_download for t in torrents)).encode()


def begin():
    with open(config["torrent"], "rb") as f:
        dump = base64.b64encode(f.read())
    core.add_torrent_file("film.torrent", dump, {"download_location": config["files"]})
    reactor.listenTCP(config["rpc"], server.Site(Account()), interface="127.0.0.1")


reactor.callWhenRunning(begin)
daemon.start()
