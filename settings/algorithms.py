"""The XGBoost image of AWS and its hyperparameters, as data.

Sources, read 2026-11-23: `sagemaker-core/src/sagemaker/core/image_uri_config/xgboost.json` of aws/sagemaker-python-sdk
(commit 2ef567c) for registries and versions; aws/sagemaker-xgboost-container (commit cb8df91) for the hyperparameters
and for what a training leaves: `Booster.save_model("xgboost-model")`, which is UBJSON from XGBoost 2.1 on and before
that a binary format that XGBoost 3.1 has dropped (release notes of both).
"""

import math
from dataclasses import dataclass
from typing import Final

XGBOOST: Final = "xgboost"
XGBOOST_REPOSITORY: Final = "sagemaker-xgboost"
"""Repository of the image in each registry."""

READABLE: Final = ("3.2-0", "3.0-5")
"""Versions whose models the model image reads, the newest first."""
UNREADABLE: Final = ("0.90-1", "0.90-2", "1.0-1", "1.2-1", "1.2-2", "1.3-1", "1.5-1", "1.7-1")
"""Versions that leave XGBoost's old binary format."""


def _pairs(text: str) -> dict[str, str]:
    words = iter(text.split())
    return dict(zip(words, words, strict=True))


XGBOOST_ACCOUNTS: Final = _pairs("""
af-south-1 510948584623 ap-east-1 651117190479 ap-northeast-1 354813040037 ap-northeast-2 366743142698
ap-northeast-3 867004704886 ap-south-1 720646828776 ap-south-2 628508329040 ap-southeast-1 121021644041
ap-southeast-2 783357654285 ap-southeast-3 951798379941 ap-southeast-4 106583098589 ca-central-1 341280168497
ca-west-1 190319476487 cn-north-1 450853457545 cn-northwest-1 451049120500 eu-central-1 492215442770
eu-central-2 680994064768 eu-north-1 662702820516 eu-south-1 978288397137 eu-south-2 104374241257
eu-west-1 141502667606 eu-west-2 764974769150 eu-west-3 659782779980 il-central-1 898809789911
me-central-1 272398656194 me-south-1 801668240914 sa-east-1 737474898029 us-east-1 683313688378
us-east-2 257758044811 us-gov-east-1 237065988967 us-gov-west-1 414596584902 us-west-1 746614075791
us-west-2 246618743249
""")
"""Region → account whose registry holds the image; the same for every version."""

SPELLINGS: Final = {"reg_lambda": "lambda", "reg_alpha": "alpha"}
"""Our name of a hyperparameter → XGBoost's own, where they differ."""
TYPED: Final = (
    *("num_round", "max_depth", "eta", "subsample", "colsample_bytree", "min_child_weight", "early_stopping_rounds"),
    *("seed", "objective", "num_class", "reg_lambda", "reg_alpha", "max_bin", "scale_pos_weight", "gamma"),
    *("max_delta_step", "colsample_bylevel", "colsample_bynode", "max_leaves", "grow_policy"),
)
"""Hyperparameters of the settings that are XGBoost's; the others are instructions for the model image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What a hyperparameter takes that is a number."""

    low: float = 0
    high: float = math.inf
    whole: bool = False
    above: bool = False
    """Whether it has to be more than `low`."""

    def takes(self, text: str) -> bool:
        """Whether a text is such a number."""
        try:
            value = float(text)
        except ValueError:
            return False
        inside = self.low <= value <= self.high and math.isfinite(value) and not (self.above and value == self.low)
        return inside and (not self.whole or value.is_integer())

    def __str__(self) -> str:
        """Say what it takes."""
        kind = "a whole number" if self.whole else "a number"
        upper = f" and at most {self.high:g}" if self.high < math.inf else ""
        return f"{kind} {'above' if self.above else 'of at least'} {self.low:g}{upper}"


_PROBABILITY: Final = Number(high=1)
_SWITCH: Final = Number(high=1, whole=True)
OTHERS: Final[dict[str, Number | tuple[str, ...]]] = {
    "base_score": Number(),
    "booster": ("gbtree", "dart"),
    "normalize_type": ("tree", "forest"),
    "num_parallel_tree": Number(low=1, whole=True),
    "one_drop": _SWITCH,
    "rate_drop": _PROBABILITY,
    "sample_type": ("uniform", "weighted"),
    "sampling_method": ("uniform", "gradient_based"),
    "skip_drop": _PROBABILITY,
    "tree_method": ("auto", "exact", "approx", "hist"),
    "verbosity": Number(high=3, whole=True),
}
"""Hyperparameters of the built-in algorithm beside `TYPED`, as far as their models are trees of one output each."""
