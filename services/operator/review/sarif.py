"""
Findings as SARIF 2.1.0 (OASIS), which code hosts and editors show at the lines that they are about.
"""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Final

from shared.playbook.finding import Finding, Severity

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """One run with a result for each of *findings*; `properties.by` says what a result rests on."""
    listed = list(findings)
    rules = sorted({finding.rule for finding in listed})
    driver = {
        "name": "holdfast playbook check",
        "version": version("holdfast"),
        "rules": [{"id": rule, "shortDescription": {"text": rule.replace("_", " ")}} for rule in rules],
    }
    results = [_result(finding, rules.index(finding.rule)) for finding in listed]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    where = ".".join(map(str, finding.path)) or "playbook"
    # Of the path and not of the line, so that the same finding is known again when lines above it change.
    known = hashlib.sha256(f"{finding.rule}\0{where}\0{finding.reason}".encode()).hexdigest()[:32]
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.reason}. Remedy: {finding.remedy}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": PurePath(finding.file).as_posix()},
                    "region": {"startLine": max(1, finding.line), "startColumn": max(1, finding.column)},
                },
                "logicalLocations": [{"fullyQualifiedName": where}],
            }
        ],
        "partialFingerprints": {"finding/v1": known},
        "properties": {"by": str(finding.by)},
    }
