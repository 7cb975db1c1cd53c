"""The form of every JSON body: camelCase outside, snake_case inside."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CamelModel(BaseModel):
    """A response body. Decimals become text, so that no reader turns money into a binary fraction."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)
