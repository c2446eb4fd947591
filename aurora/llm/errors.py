"""What can go wrong with a model. Agents turn each of these into an answer that has a reason instead of a value."""

from __future__ import annotations

from aurora.kernel.errors import AuroraError


class ModelError(AuroraError):
    """A model, or the server that runs it, did not do what it was asked."""

    code = "aurora.model"
    http_status = 502


class ModelTimeout(ModelError):
    """No answer within the deadline."""

    code = "aurora.model.timeout"
    retryable = True
    http_status = 504


class ModelUnavailable(ModelError):
    """The server cannot be reached, hung up, or failed by its own account."""

    code = "aurora.model.unavailable"
    retryable = True
    http_status = 503


class ModelBusy(ModelError):
    """The provider asks for fewer requests. `context["retry_after_s"]`: when to come back, if it says so."""

    code = "aurora.model.busy"
    retryable = True
    http_status = 503


class ModelResting(ModelError):
    """The model failed lately, so its breaker lets nothing through."""

    code = "aurora.model.resting"
    http_status = 503


class ModelKeyRefused(ModelError):
    """The provider does not accept the key, or the key may not use this model."""

    code = "aurora.model.key"


class ModelNotFound(ModelError):
    """There is no such model, or no such server, at this address."""

    code = "aurora.model.not_found"


class ModelRequestRefused(ModelError):
    """The server does not accept the request as it is."""

    code = "aurora.model.request"


class ModelContextExceeded(ModelError):
    """The request is longer than what the model can read."""

    code = "aurora.model.context"


class ModelTooLong(ModelError):
    """The answer is longer than what is read; its rest was not."""

    code = "aurora.model.too_long"


class ModelGarbled(ModelError):
    """What came back cannot be understood, after all repairs that are allowed."""

    code = "aurora.model.garbled"


class ModelRefused(ModelError):
    """The model, or a filter of its provider, declined to answer."""

    code = "aurora.model.refused"


class BudgetExceeded(ModelError):
    """The run has used up what it may. `context["limit"]` names what: steps, tokens, usd or wall."""

    code = "aurora.model.budget"
    http_status = 429
