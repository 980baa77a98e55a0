"""What one request wants hidden, and whether the operator lets it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Form

from pii_blur.http.refusals import Refusal
from pii_blur.http.settings import ServiceSettings
from pii_blur.labels import Label
from pii_blur.obfuscate.obfuscator import METHODS
from pii_blur.settings import Settings
from pii_blur.sphere.views import PLANS


@dataclass(frozen=True, slots=True)
class Wishes:
    """Fields of a form; None leaves it at what the operator has set."""

    prob: Annotated[float | None, Form(ge=1, le=100, description="how sure the search must be; less hides more")] = None
    classes: Annotated[str | None, Form(description="e.g. person,car,truck,bus,motorcycle")] = None
    method: Annotated[str | None, Form(description=f"one of {', '.join(METHODS)}")] = None
    views: Annotated[str | None, Form(description=f"how closely to look: {', '.join(PLANS)}")] = None

    def settings(self, service: ServiceSettings) -> Settings:
        """Return what is hidden for this request, and how.

        Raises:
            Refusal: 422 for what makes no sense, 403 where less would be hidden than the operator has set.
        """
        own = service.hiding
        try:
            wanted = self._applied(own)
        except ValueError as error:
            raise Refusal(422, "invalid_request", str(error)) from error
        if not service.allow_unblurred and (why := _less(wanted, own)):
            raise Refusal(403, "hides_less", f"{why}; the operator allows requests to hide more, not less")
        return wanted

    def _applied(self, own: Settings) -> Settings:
        wanted = own
        if self.prob is not None:
            score = self.prob / 100
            # What the operator has lowered for one class stays lowered.
            thresholds = tuple((label, min(score, least)) for label, least in own.thresholds)
            wanted = replace(wanted, min_score=score, thresholds=thresholds)
        if self.classes is not None:
            labels = tuple(dict.fromkeys(Label.from_word(word) for word in self.classes.split(",")))
            wanted = replace(wanted, labels=labels)
        if self.method is not None:
            wanted = replace(wanted, method=self.method)
        if self.views is not None:
            wanted = replace(wanted, views=self.views)
        return wanted


def _less(wanted: Settings, own: Settings) -> str:
    """Return in what way less would be hidden; empty if it is not."""
    plans = list(PLANS)
    if wanted.min_score > own.min_score:
        return f"prob is at most {100 * own.min_score:g}"
    if missing := [label.word for label in own.labels if label not in wanted.labels]:
        return f"classes must have {', '.join(missing)}"
    if plans.index(wanted.views) < plans.index(own.views):
        return f"views is at least {own.views}"
    return ""
