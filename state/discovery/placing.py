"""In which site everything stands: by tags, by names, else in the site that was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from state.discovery.answers import Answers
from state.discovery.names import site_of
from state.discovery.proposal import Basis, Keys, Proposal


class Placing:
    """Gives sites to entries of a proposal. `homeless` is what no name and no tag placed."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._placed: list[tuple[Keys, str]] = []
        self.homeless: list[str] = []
        self.sites: dict[str, tuple[Basis, str]] = {}

    def site(self, path: Keys, names: Sequence[str], tags: Mapping[str, str] | None = None) -> str:
        """The site of the entry at a path."""
        site, told = site_of(names, tags)
        if site:
            basis = Basis.MEASURED if told else Basis.GUESSED
            text = f"a tag of {path[-1]}" if told else f"the name {next(n for n in names if site_of([n])[0] == site)}"
            self.sites.setdefault(site, (basis, text))
            return site
        self.homeless.append(path[-1])
        return self._answers.site

    def settle(self, proposal: Proposal) -> None:
        """Write the sites that are used."""
        for site, (basis, text) in self.sites.items():
            proposal.put(("sites", site), {}, basis, text)
        if self.homeless or not self.sites:
            asked = "site" in self._answers.asked
            path: Keys = ("sites", self._answers.site)
            if self._answers.site not in self.sites:
                text = "" if asked else "no name tells where this stands"
                proposal.put(path, {}, Basis.ASKED if asked else Basis.PROPOSED, text)
            if not asked and self.homeless:
                proposal.say(
                    "sites",
                    f"no name or tag tells the site of {', '.join(self.homeless[:5])}"
                    + (f" and {len(self.homeless) - 5} more" if len(self.homeless) > 5 else ""),
                    f"they stand in {self._answers.site}: correct it where a site can fail on its own",
                )
