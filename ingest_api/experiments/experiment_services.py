"""What the experiment routes share while the API runs."""

from dataclasses import dataclass

from ingest_api.config import ApiSettings
from ingest_api.events.stream import EventStream
from ingest_api.experiments.assigning import Assigner
from ingest_api.experiments.changing import ExperimentEditor
from ingest_api.experiments.dagster_runs import DagsterRuns
from ingest_api.flags.flag_services import FlagServices


@dataclass(frozen=True, slots=True)
class ExperimentServices:
    """What changes experiments, assigns users to them, and computes their results anew."""

    editor: ExperimentEditor
    assigner: Assigner
    dagster: DagsterRuns


def experiment_services(settings: ApiSettings, flags: FlagServices, stream: EventStream) -> ExperimentServices:
    """They live on the definitions that the flags have."""
    return ExperimentServices(
        editor=ExperimentEditor(flags.editor),
        assigner=Assigner(flags.definitions, stream),
        dagster=DagsterRuns(settings.analytics_dagster_url),
    )
