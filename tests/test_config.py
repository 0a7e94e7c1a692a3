"""Configuration: params.yaml is sound, and whatever is wrong in it gets one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from lr_edit.config import Config, load_config
from lr_edit.errors import UserError, suggest_name
from lr_edit.profiles import DEFAULTS
from lr_edit.types import Sampler

PARAMS = Path(__file__).parent.parent / "params.yaml"


@pytest.fixture
def params() -> dict:
    return yaml.safe_load(PARAMS.read_text())


def load(tmp_path: Path, params: dict, **options) -> Config:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return load_config(path, **options)


def test_the_shipped_file_is_sound_with_every_profile() -> None:
    for profile in load_config().profiles:
        config = load_config(PARAMS, profile=profile)
        assert config.models is config.profiles[profile]
        assert config.models.side % config.models.cell == 0


def test_a_variant_states_only_its_difference_from_the_base(params: dict) -> None:
    config = load_config(PARAMS)
    learned, base = config.variant("learned"), params["base"]
    assert learned.learner == params["variants"]["learned"]["learner"] == "exact"
    assert learned.steps == base["steps"] and learned.rate == base["rate"]


def test_a_proposal_set_states_only_how_its_sampler_differs(tmp_path: Path, params: dict) -> None:
    params["proposals"]["early"] = {
        "anchors": "dino", "boxes": "squares", "inpaint": {"stop": 2, "guidance": 1.0}
    }  # fmt: skip
    config = load(tmp_path, params)
    assert config.proposal_set("dino").inpaint == config.inpaint
    early = config.proposal_set("early").inpaint
    assert early == config.inpaint.model_copy(update={"stop": 2, "guidance": 1.0})
    assert early.sampler == Sampler(config.inpaint.steps, 1.0, config.inpaint.guided, stop=2)


def test_a_study_changes_single_values_of_a_profile_s_memory(tmp_path: Path, params: dict) -> None:
    params["profiles"] = {"flux-fill": {"memory": {"quantise": "nf4"}}}
    memory = load(tmp_path, params).profiles["flux-fill"].memory
    assert (memory.quantise, memory.offload, memory.moves) == ("nf4", "auto", {"quantise": "nf4"})
    assert not load_config().models.memory.moves  # the bundled study's keys know nothing of it
    params["profiles"]["flux-fill"]["memory"] = {"quantize": "nf4"}
    with pytest.raises(UserError, match="did you mean 'quantise'"):
        load(tmp_path, params)


def test_a_proposal_set_states_only_how_its_anchors_differ(tmp_path: Path, params: dict) -> None:
    params["proposals"]["few"] = {
        "anchors": "dino", "boxes": "squares", "propose": {"points": 3, "distance": 2.0}
    }  # fmt: skip
    config = load(tmp_path, params)
    assert config.proposal_set("random-random").propose == config.propose
    few = config.proposal_set("few").propose
    assert few == config.propose.model_copy(update={"points": 3, "distance": 2.0})


@pytest.mark.parametrize(
    ("part", "reader"),
    [("variants", {"one": {"proposals": "grounded"}}),
     ("ablations", {"group": {"one": {"proposals": "grounded"}}}),
     ("race", {"proposals": "grounded", "entrants": 4}),
     ("dataset_net", {"proposals": "grounded"})],
)  # fmt: skip
def test_a_net_needs_the_features_of_its_set(
    tmp_path: Path, params: dict, part: str, reader: dict
) -> None:
    params[part] = (params.get(part) or {}) | reader
    with pytest.raises(UserError, match=r"proposals\.grounded\.propose keeps none"):
        load(tmp_path, params)
    params["proposals"]["grounded"]["propose"]["features"] = True
    load(tmp_path, params)


@pytest.mark.parametrize("wrong", [{"stop": 2}, {"strength": 0.5}])
def test_the_release_s_solver_takes_whole_trajectories(tmp_path: Path, params: dict, wrong) -> None:
    params["proposals"]["dino"]["inpaint"] = {"solver": "pndm", **wrong}
    with pytest.raises(UserError, match="whole trajectories"):
        load(tmp_path, params)


@pytest.mark.parametrize("wrong", [{"stop": 6}, {"strength": 0.1}, {"strength": 0.5, "stop": 3}])
def test_a_sampler_that_takes_no_step_is_refused(tmp_path: Path, params: dict, wrong: dict) -> None:
    params["proposals"]["dino"]["inpaint"] = {"steps": 5, **wrong}
    with pytest.raises(UserError, match=r"parameter 'proposals\.dino\.inpaint'.* 5 steps"):
        load(tmp_path, params)


def test_the_variants_of_the_first_study_are_there() -> None:
    asked = {"learned", "untrained", "argmin-table", "dino-random-size", "fixed-medium"}
    assert asked | {"ground-truth-box"} <= set(load_config(PARAMS).variants)


def test_a_configuration_cannot_be_changed() -> None:
    config = load_config(PARAMS)
    with pytest.raises(ValidationError, match="frozen"):
        config.study.seed = 3


def test_a_profile_may_race_by_other_rules() -> None:
    small, large = (load_config(PARAMS, profile=name).race for name in ("picturebook", "sd2"))
    assert (small.budget, large.budget) == (200, 300)
    assert small.proposals == large.proposals
    last = large.previews[-1]  # states its difference from the profile's own sampler
    assert (last.steps, last.guidance, last.sampler.nfe) == (6, 7.5, 10)
    few = load_config(PARAMS, profile="sd2").amortised
    assert (few.entrants, few.previews, few.budget) == (3, (last,), 3 * 10 + 32)


def test_without_a_study_the_package_says_what_an_edit_needs() -> None:
    config = load_config()
    assert config.profile == "picturebook" and config.variants == {}
    assert config.proposal_set(config.race.proposals).propose.points == 9
    assert (config.inpaint, config.race) == (load_config(PARAMS).inpaint, load_config(PARAMS).race)


def test_a_study_states_its_difference_from_the_package(tmp_path: Path, params: dict) -> None:
    params["profiles"] = {
        "sd2": {"inpaint": {"steps": 9}, "clip": {"name": "other"}, "judges": {"perceptual": None}},
        "mine": {**yaml.safe_load(DEFAULTS.read_text())["profiles"]["sd2"], "side": 256},
    }
    own, shipped = load(tmp_path, params, profile="sd2"), load_config(profile="sd2")
    assert own.inpaint == shipped.inpaint.model_copy(update={"steps": 9})
    assert own.models.clip.pretrained is None  # a model is replaced as a whole
    assert own.models.judges == shipped.models.judges.model_copy(update={"perceptual": None})
    assert own.models.anchors == shipped.models.anchors
    assert load(tmp_path, params, profile="mine").models.side == 256
    params["inpaint"] = {"steps": 7}
    assert load(tmp_path, params, profile="sd2").inpaint.steps == 7  # the study's word is the last


def test_the_evaluation_clip_is_not_the_scoring_clip() -> None:
    for profile in load_config(PARAMS).profiles.values():
        assert profile.judges.clip.name != profile.clip.name


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError, match=r"params\.yaml is missing: name a study's"):
        load_config(path)
    for text, said in (("a: [1", "not valid YAML"), ("- 1", "mapping")):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            load_config(path)


@pytest.mark.parametrize(
    ("where", "key", "meant"),
    [
        ((), "varients", "variants"),
        (("study",), "sead", "seed"),
        (("propose",), "point", "points"),
        (("inpaint",), "guidence", "guidance"),
        (("variants", "learned"), "learnr", "learner"),
        (("base",), "step", "steps"),
        (("profiles", "picturebook"), "sid", "side"),
        (("proposals", "dino"), "box", "boxes"),
        (("proposals", "truth", "inpaint"), "step", "steps"),
        (("profiles", "picturebook", "race"), "budgets", "budget"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest_known_one(
    tmp_path: Path, params: dict, where: tuple, key: str, meant: str
) -> None:
    table = params
    for part in where:
        table = table.setdefault(part, {})
    table[key] = 1
    with pytest.raises(UserError, match=f"unknown parameter '.*{key}'; did you mean '{meant}'"):
        load(tmp_path, params)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("study", "split"), "testing"),
        (("propose", "points"), 0),
        (("inpaint", "guided"), 1.5),
        (("variants", "learned", "learner"), "exactly"),
        (("variants", "learned", "rate"), 0),
        (("base", "seeds"), "many"),
    ],
)
def test_an_impossible_value_is_named(
    tmp_path: Path, params: dict, where: tuple, value: object
) -> None:
    table = params
    for part in where[:-1]:
        table = table.setdefault(part, {})
    table[where[-1]] = value
    with pytest.raises(UserError, match=f"parameter '.*{where[-1]}'"):
        load(tmp_path, params)


WRONG = [
    ("propose.sizes", [1.5]), ("propose.sizes", [-0.5]), ("propose.sizes", []),
    ("propose.distance", math.inf), ("inpaint.guidance", math.nan), ("inpaint.guidance", -1.0),
    ("inpaint.steps", 1001), ("profiles.picturebook.side", 63), ("profiles.picturebook.side", 0),
    ("profiles.picturebook.side", 10**30), ("profiles.picturebook.cell", 0),
    ("profiles.picturebook.attention_side", -4), ("profiles.sd2.inpaint.steps", math.nan),
    ("profiles.sd2.side", "wide"), ("profiles.sd2.race.budget", 0), ("race.budget", 10**12),
    ("base.losses.clip", math.nan), ("base.losses", {"clip": -1.0}), ("base.losses", 3),
    ("base.rate", math.inf), ("base.steps", True), ("base.seeds", 10**9), ("study.seed", -1),
    ("study.resamples", 98), ("score.prompt", "photo"), ("score.prompt", "{} {}"),
    ("score.source", "{word}"), ("proposals.dino.template", "a photo"),
    ("ablations.sizes.four.sizes", [-1]), ("ablations.sizes.four.sizes", []),
    *((f"ablations.sizes.four.{key}", value) for key, value in {
        "sizes": [6], "points": 10, "top": 55, "text": True, "trained_on": 8}.items()),
    ("variants.learned.losses", dict.fromkeys(("clip", "directional", "structure"), 0.0)),
    # Of another kind: a table, a list of tables, a name.
    ("variants", ["a"]), ("base", 0.5), ("race", []), ("race", "fast"), ("race.previews", 3),
    ("race.previews", [3]), ("variants.learned", "exact"), ("proposals.dino", 3), ("study", [1]),
    ("ablations.regions", 3), ("profiles", 3), ("profiles.sd2", [1]),
    ("profiles.picturebook.judges", 3), ("profile", ["sd2"]), ("dataset_net", 3),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG, ids=lambda v: str(v)[:30])
def test_a_value_out_of_bounds_or_of_another_kind_is_refused_by_its_key(
    tmp_path: Path, params: dict, key: str, value: object
) -> None:
    *above, last = key.split(".")
    table = params
    for part in above:
        table = table.setdefault(part, {})
    table[last] = value
    with pytest.raises(UserError, match=r"parameter '") as caught:
        load(tmp_path, params)
    said = str(caught.value)
    assert last in said and "\n" not in said, said


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "a\\b"])
@pytest.mark.parametrize("table", ["variants", "proposals"])
def test_a_name_that_could_lead_to_another_folder_is_refused(
    tmp_path: Path, params: dict, table: str, name: str
) -> None:
    params[table][name] = dict(next(iter(params[table].values())))
    with pytest.raises(UserError, match="a name may hold letters"):
        load(tmp_path, params)


@pytest.mark.parametrize("part", ["race", "amortised", "dataset_net"])
def test_what_a_race_draws_from_must_exist(tmp_path: Path, params: dict, part: str) -> None:
    params.setdefault(part, {})["proposals"] = "nonsense"
    with pytest.raises(UserError, match="unknown proposal set 'nonsense'"):
        load(tmp_path, params)


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("profile: sd2\nprofile: sdxl\n")
    with pytest.raises(UserError, match="key 'profile' is given twice, again in line 2"):
        load_config(tmp_path / "params.yaml")


def test_unknown_names_are_named_with_the_nearest_known_one(tmp_path: Path, params: dict) -> None:
    config = load_config(PARAMS)
    with pytest.raises(UserError, match="unknown variant 'learnt'; did you mean 'learned'"):
        config.variant("learnt")
    with pytest.raises(UserError, match="unknown proposal set 'dinos'; did you mean 'dino'"):
        config.proposal_set("dinos")
    with pytest.raises(UserError, match="unknown profile 'sd3'; did you mean 'sd35'"):
        load(tmp_path, params, profile="sd3")
    params["variants"]["learned"]["proposals"] = "dinos"
    with pytest.raises(UserError, match="unknown proposal set 'dinos'"):
        load(tmp_path, params)


def test_a_name_of_any_length_is_refused_in_a_short_sentence(tmp_path: Path, params: dict) -> None:
    with pytest.raises(UserError, match="unknown profile") as caught:
        load(tmp_path, params | {"profile": "x" * 3000})
    assert len(str(caught.value)) < 500


def test_a_baseline_must_be_a_variant(tmp_path: Path, params: dict) -> None:
    params["study"]["baseline"] = "dino-random-sizes"
    with pytest.raises(UserError, match="unknown variant 'dino-random-sizes'"):
        load(tmp_path, params)


def test_where_no_known_name_is_near_all_are_listed() -> None:
    assert suggest_name("xyz", ["b", "a"]) == "; known: a, b"
