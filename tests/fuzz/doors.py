"""
All doors, by name.
"""

from tests.fuzz import answers, models, playbooks, records, results
from tests.fuzz.door import Door

DOORS: dict[str, Door] = {
    door.name: door for door in (records.DOOR, results.DOOR, answers.DOOR, models.DOOR, playbooks.DOOR)
}
