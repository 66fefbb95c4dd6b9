"""Labelled drafts: the samples are what they have to be, and a bad file is refused with its place."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from services.operator.verification.composed import composed
from services.operator.verification.drafts import Label, claims, read_domains
from shared.errors import Fatal
from shared.playbook.checking import check
from shared.playbook.finding import Severity
from shared.playbook.model import Variant

SAMPLES = sorted((Path(str(files("services.operator"))) / "samples" / "verification").glob("*.yaml"))
DRAFT = """
domain: shop
name: Shop
facts:
  fee: {text: The fee is 4 euros., question: What is the fee?}
guidelines:
  - {id: tell, condition: They ask, action: State the fee, criticality: high}
drafts:
  - asks: Fee?
    follows: [tell]
    says:
      - SAID
"""


@pytest.fixture(scope="module")
def domains():
    return read_domains(SAMPLES)


def test_there_are_200_drafts_over_6_domains_of_every_class(domains):
    labels = Counter(said.label for said in claims(domains))
    assert len(domains) >= 6
    assert sum(len(domain.drafts) for domain in domains) >= 200
    assert all(labels[label] >= 20 for label in Label)
    assert sum(bool(draft.omits) for domain in domains for draft in domain.drafts) >= 12


def test_no_two_claims_of_the_samples_are_the_same_text_with_another_label(domains):
    labelled = {}
    for said in claims(domains):
        assert labelled.setdefault(said.text, said.is_wrong) is said.is_wrong


def test_what_makes_a_claim_wrong_stands_in_no_fact_that_would_mend_it(domains):
    for domain in domains:
        for draft in domain.drafts:
            for said in draft.says:
                facts = " ".join(domain.facts[name].text for name in said.by)
                assert not said.is_wrong or said.wrong.casefold() not in facts.casefold(), said.text


@pytest.mark.parametrize("variant", Variant)
def test_every_domain_makes_a_playbook_without_errors(domains, variant):
    for domain in domains:
        found = check(domain.playbook(f"{domain.domain}-x", variant))
        assert [finding for finding in found if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("{supported: The fee is 4 euros.}", "names no fact"),
        ("{supported: The fee is 4 euros., by: tax}", "names tax"),
        ("{contradicted_number: The fee is 5 euros., by: fee}", "`wrong` of"),
        ("{contradicted_number: The fee is 5 euros., by: fee, wrong: six}", "`wrong` of"),
        ("{supported: The fee is 4 euros., by: fee, wrong: four}", "is right and yet"),
        ("{supported: A, paraphrase: B, by: fee}", "a segment is one of"),
        ("{by: fee}", "this one has none"),
        ("{supported: The fee is 4 euros., by: fee, does: greet}", "names greet"),
    ],
)
def test_a_bad_draft_is_refused_with_what_is_wrong(tmp_path, said, place):
    file = tmp_path / "bad.yaml"
    file.write_text(DRAFT.replace("SAID", said))
    with pytest.raises(Fatal, match=place):
        read_domains([file])


def test_two_files_of_one_domain_are_refused(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(DRAFT.replace("SAID", "{supported: The fee is 4 euros., by: fee}"))
    with pytest.raises(Fatal, match="rename one"):
        read_domains(sorted(tmp_path.glob("*.yaml")))


def test_no_file_and_no_yaml_are_refused(tmp_path):
    with pytest.raises(Fatal, match="no drafts"):
        read_domains([])
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(Fatal, match="cannot be read"):
        read_domains([tmp_path / "x.yaml"])


def test_composed_drafts_have_the_claims_and_about_the_errors_asked_for(domains):
    longer = composed(domains, claims=8, error_share=0.05, drafts=301, seed=3)
    drafts = [draft for domain in longer for draft in domain.drafts]
    wrong = sum(said.is_wrong for said in claims(longer))
    assert len(drafts) == 301
    assert {len(draft.says) for draft in drafts} == {8}
    assert wrong / (8 * 301) == pytest.approx(0.05, abs=0.02)
    assert longer == composed(domains, claims=8, error_share=0.05, drafts=301, seed=3)
