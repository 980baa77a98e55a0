"""What our own API says, as models for its OpenAPI document."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pii_blur.http.refusals import Problem
from pii_blur.results import PhotoResult


class Region(BaseModel):
    """A box that was hidden; docs/detections.md explains the angles."""

    model_config = ConfigDict(populate_by_name=True)

    label: str = Field(alias="class", examples=["person"])
    score: float = Field(ge=0, le=1, examples=[0.83])
    origin: str = Field(examples=["detector"])
    view: str = Field(examples=["h2-045"])
    corners: list[list[float]] = Field(
        description="yaw and pitch of the four corners, in degrees",
        examples=[[[10.0, 5.0], [14.0, 5.0], [14.0, -9.0], [10.0, -9.0]]],
    )
    pixels: list[list[float]] = Field(
        description="the same in pixels of the upright picture",
        examples=[[[3040.0, 1360.0], [3104.0, 1360.0], [3104.0, 1584.0], [3040.0, 1584.0]]],
    )


class Report(BaseModel):
    """What became of a photo."""

    outcome: str = Field(description="`blurred`, or `clean` where nothing was found", examples=["blurred"])
    people: int = Field(description="how many people were hidden", examples=[3])
    vehicles: int = Field(description="how many vehicles were hidden", examples=[1])
    width: int = Field(description="of the upright picture", examples=[5760])
    height: int = Field(examples=[2880])
    projection: str = Field(description="how the picture was understood", examples=["full panorama (GPano)"])
    way: str = Field(description="how the file was written", examples=["lossless"])
    removed: list[str] = Field(description="what was taken out of the file", examples=[["a second picture (MPF)"]])
    seconds: dict[str, float] = Field(description="time spent, by stage", examples=[{"read": 0.1, "detect": 2.5}])
    model: str = Field(examples=["street-retinanet"])
    regions: list[Region]

    @classmethod
    def of(cls, result: PhotoResult, detections: dict[str, Any]) -> Report:
        """Put together what a worker answered and what it wrote down."""
        return cls(
            outcome=result.outcome.value,
            people=result.people,
            vehicles=result.vehicles,
            width=detections["width"],
            height=detections["height"],
            projection=result.projection,
            way=result.way,
            removed=list(result.removed),
            seconds={stage: round(spent, 4) for stage, spent in result.seconds.items()},
            model=detections["model"]["name"],
            regions=[Region.model_validate(region) for region in detections["regions"]],
        )


class JobStatus(enum.StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class JobState(BaseModel):
    """A photo that is done in the background."""

    id: str = Field(description="whoever knows it may fetch the photo", examples=["uB3nVd0kq6Xy1fM2"])
    status: JobStatus
    created: datetime
    expires: datetime | None = Field(None, description="when it is forgotten, once it is done or has failed")
    report: Report | None = Field(None, description="once it is done")
    problem: Problem | None = Field(None, description="once it has failed")
