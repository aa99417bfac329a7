"""What likelihoods are called."""

from sklearn.base import clone


class Named:
    """A likelihood that may have a name, which as a string stands for it."""

    name = None
    by_name = {}  # all classes that have one

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if vars(cls).get("name") is not None:
            cls.by_name[cls.name] = cls

    @classmethod
    def names_where(cls, does):
        """Names of the likelihoods of which something is true, for messages.

        Parameters
        ----------
        does : callable
            ``does(likelihood)``, of one that has not been started.

        Returns
        -------
        names : str
            In quotes, with "or" before the last one.
        """
        names = [repr(name) for name, kind in sorted(cls.by_name.items()) if does(kind())]
        return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def unfitted(likelihood):
    """A likelihood to ``start``, from a name or from one with the same parameters.

    Raises a ValueError if there is none of that name, or it does not derive from
    ``BaseLikelihood``.
    """
    known = {name: kind for name, kind in Named.by_name.items() if kind.target_dtype.kind == "f"}
    if isinstance(likelihood, str) and likelihood in known:
        return known[likelihood]()
    if not isinstance(likelihood, Named):
        raise ValueError(
            f"A likelihood must be one of {sorted(known)} or an object of a class that derives "
            f"from skmoe.likelihoods.BaseLikelihood; got {likelihood!r}."
        )
    return clone(likelihood)
