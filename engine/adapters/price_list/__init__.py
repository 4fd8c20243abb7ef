"""Price lists: the public list of thousands of models, turned into tariff versions.

The list is LiteLLM's: a JSON object with one entry per model, whose fields are prices per token
(or per second, page, image ...) in the list's currency. `fields` reads an entry (`tokens`, `units`,
`blocks` and `factors` each know a family of fields), `rules` says what a price means for tiers and
context lengths that the list leaves out, `names` says which usage an entry is for, and `importing`
writes the tariff. `history` turns dated changes of such a list into a chain of versions. The result
is an ordinary document that people can read and change, and every price that it does not hold is
named, never dropped in silence.

It is not a second way to rate: once imported, a price is a component like any other.
"""

from engine.adapters.price_list.entry import Finding
from engine.adapters.price_list.importing import ImportedPrices, import_price_list

__all__ = ["Finding", "ImportedPrices", "import_price_list"]
