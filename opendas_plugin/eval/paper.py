"""Figures quoted from the OpenDAS paper (arXiv 2405.20141 v4 and its project page); never mixed with measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "quoted from the paper: ViT-L-14 on ScanNet++ Offices; other data, so no row to compare with the measured ones"


@dataclass(frozen=True)
class Quoted:
    """A row of the paper's tables of base and novel names, in percent; None where we have not seen the figure."""

    method: str
    parameters: str
    w_f1: float | None
    b_f1: float | None
    n_f1: float


@dataclass(frozen=True)
class QuotedHost:
    """A row of the paper's Table 3: OVSeg on ADE20K-150, OpenMask3D on ScanNet++ Offices, in percent."""

    title: str
    scores: Mapping[str, float]


TABLE_3 = (
    QuotedHost("OVSeg, ADE20K-150", {"miou": 29.8, "macc": 48.1}),
    QuotedHost("OVSeg + OpenDAS, ADE20K-150", {"miou": 35.8, "macc": 51.2}),
    QuotedHost("OpenMask3D, ScanNet++ Offices", {"ap": 8.1, "ap25": 14.1}),
    QuotedHost("OpenMask3D + OpenDAS, ScanNet++ Offices", {"ap": 12.2, "ap25": 24.0}),
)
TABLE_1 = (
    Quoted("zero_shot", "0", 11.2, 11.0, 12.0),
    Quoted("cocoop", "77K", 25.7, 34.3, 12.7),
    Quoted("vpt", "786K", 33.8, 37.6, 12.8),
    Quoted("rpo", "43K", 30.6, 40.9, 14.9),
    Quoted("maple", "18,935K", 36.3, 48.1, 18.4),
    Quoted("wise_ft_image", "303,966K", None, None, 45.3),
    Quoted("opendas", "233K", 40.2, 51.5, 23.0),
)
