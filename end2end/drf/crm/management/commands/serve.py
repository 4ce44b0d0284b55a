"""`serve` answers with waitress, because Django's own server is for development only."""

import signal
import sys

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.wsgi import get_wsgi_application
from waitress.server import create_server


class Command(BaseCommand):
    help = "Serve on 127.0.0.1 and print one line when ready."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="0 takes any free port")

    def handle(self, *, port: int, **options: object) -> None:
        if not (settings.DATABASE.exists() and settings.SIGNING_KEY.exists()):
            raise CommandError(
                f"There is nothing to serve at {settings.DATABASE}: run seed first."
            )
        server = create_server(get_wsgi_application(), host="127.0.0.1", port=port, threads=8)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        print(f"ready http://127.0.0.1:{server.effective_port}", flush=True)
        server.run()
