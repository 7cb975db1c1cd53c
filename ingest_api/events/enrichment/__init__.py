"""What is added to an event because only its request knows it, and what is taken out because it must not be stored.

Everything that can be computed later from what is stored (parts of an address of a page, campaign, channel) is left to
the dbt models, where a better rule can be applied to history.
"""
