"""The console: what an operator types. One file per command; each is loaded only when it is asked for."""

from __future__ import annotations

import click

from trunkline_server import __version__
from trunkline_server.cli.console import Console

COMMANDS = {
    "serve": "Run the gateway until a signal.",
    "worker": "Do jobs until a signal, without serving anybody.",
    "migrate": "Bring the database to the schema of this version.",
    "config": "Look at the settings.",
    "doctor": "Say what is missing here, and how to mend it.",
    "chat": "Ask a model, and print its answer as it comes.",
    "conversations": "List conversations, export and delete them, and erase what a user said.",
    "models": "List the models that can be called, sync them with providers, and name them.",
    "prices": "List and set prices, and charge the past by them.",
    "providers": "List the providers, test them, see how they do, and keep accounts of one's own there.",
    "breakers": "List, open and reset circuit breakers.",
    "jobs": "Make jobs, list them, look at them, watch, cancel and retry them.",
    "batches": "Make batches, list them, look at them and their items, watch and cancel them.",
    "events": "Follow what happens.",
    "webhooks": "Set up endpoints, test them, and see what was sent to them.",
    "schedules": "List the work that is done again and again, and have it done now.",
    "fine-tunes": "Look datasets through, train models, give them names.",
    "limits": "Limit requests, tokens and calls at once.",
    "budgets": "Set budgets, and see what was spent of them.",
    "quota": "Show what is left of the limits and budgets that a call comes under.",
    "cache": "See how the response cache does, purge it, and warm it.",
    "keys": "Make, list, rotate and revoke API keys.",
    "credits": "Grant and correct credits, look at accounts, prove the books.",
    "usage": "Sum up what calls used and cost.",
    "analytics": "Report on calls: by day, week or month, how they went, and what goes on now.",
    "audit": "List what operators did, and prove that nothing of it was changed.",
    "secrets": "Rotate the key that tenants' secrets are sealed under.",
    "system": "Tell how a replica does.",
    "tenants": "Make and list tenants.",
    "version": "Print the version.",
}


@click.group(
    cls=Console,
    package=__name__,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="trunkline", message="%(prog)s %(version)s")
def main() -> None:
    """One gRPC gateway to every AI provider, with exact credits."""
