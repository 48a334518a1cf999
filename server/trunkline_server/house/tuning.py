"""Puts the training of models together: prices, datasets, whose a model is, and the job that carries a training."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Self

from trunkline_server.config import Settings, TuningPriceSection
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.model import ModelEntry, configured_model
from trunkline_server.core.money import from_decimal_text
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.tuning.size import TRAINING
from trunkline_server.gateway.copies import Copies
from trunkline_server.gateway.jobs.tuning import TuneJob
from trunkline_server.gateway.tuning.datasets import Datasets
from trunkline_server.gateway.tuning.desk import Desk
from trunkline_server.gateway.tuning.models import TunedModels
from trunkline_server.gateway.tuning.tariffs import Tariffs
from trunkline_server.house.calls import Calls
from trunkline_server.house.ground import Ground
from trunkline_server.services.fine_tuning import FineTuningService
from trunkline_server.store.examples import Examples
from trunkline_server.store.fine_tunes import FineTunes
from trunkline_server.store.news import Announcer
from trunkline_server.store.operations import Operations
from trunkline_server.worker.chores import Chore

PRICES: Final = "trained/prices.json"


@dataclass(frozen=True)
class Tuning:
    """`models` must be followed before calls come."""

    desk: Desk
    models: TunedModels
    job: TuneJob

    @classmethod
    def open(cls, ground: Ground, calls: Calls, copies: Copies) -> Self:
        database, gateway = ground.database, calls.gateway
        tariffs = tariffs_of(ground.settings)
        tunes = FineTunes(database, Announcer(database))
        datasets = Datasets(copies.archive, Examples(database))
        desk = Desk(gateway.admission, gateway.guards, tariffs, datasets, tunes)
        rate = tariffs.credits_per_usd_nanos
        job = TuneJob(tunes, Operations(database), copies, calls.ledger, gateway.admission, rate)
        return cls(desk, TunedModels(gateway.admission.routes, database, tariffs), job)

    def service(self, tokens: PageTokens) -> FineTuningService:
        """What callers may ask of it."""
        return FineTuningService(self.desk, self.models, tokens)

    def chore(self) -> Chore:
        return Chore("end_lost_fine_tunes", 60, self.desk.end_lost)


def tariffs_of(settings: Settings) -> Tariffs:
    """What the file says, and the settings over it."""
    given = files("trunkline_server.data").joinpath(PRICES).read_bytes()
    own = [_entry(price) for price in settings.fine_tuning.prices]
    return Tariffs(Catalogue.load([given], own), settings.credits.per_usd_nanos, settings.chat.unknown_price == "free")


def _entry(given: TuningPriceSection) -> ModelEntry:
    provider, _, model = given.model.partition("/")
    told = {TRAINING: given.training_price, "input": given.input_price, "output": given.output_price}
    units = {unit: from_decimal_text(price) for unit, price in told.items() if price}
    return configured_model(provider, model, units=units)
