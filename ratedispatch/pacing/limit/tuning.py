"""Everything that can be tuned of one limit: each part has its constants beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ratedispatch.pacing.limit.arrival_window import ArrivalTuning
from ratedispatch.pacing.limit.counted_window import CountedTuning
from ratedispatch.pacing.limit.level import SharingTuning
from ratedispatch.pacing.limit.limit_source import SourceTuning
from ratedispatch.pacing.limit.opening import OpeningTuning
from ratedispatch.pacing.limit.reading_filter import FilterTuning
from ratedispatch.pacing.limit.rule_finder import FinderTuning
from ratedispatch.pacing.limit.surplus import SurplusTuning


@dataclass(frozen=True, slots=True)
class LimitTuning:
    """The constants of one limit, by its parts."""

    opening: OpeningTuning = field(default_factory=OpeningTuning)
    surplus: SurplusTuning = field(default_factory=SurplusTuning)
    source: SourceTuning = field(default_factory=SourceTuning)
    readings: FilterTuning = field(default_factory=FilterTuning)
    rules: FinderTuning = field(default_factory=FinderTuning)
    window: CountedTuning = field(default_factory=CountedTuning)
    arrivals: ArrivalTuning = field(default_factory=ArrivalTuning)
    sharing: SharingTuning = field(default_factory=SharingTuning)


DEFAULT = LimitTuning()
