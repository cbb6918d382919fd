"""Every exception loomgraph raises on purpose: one tree, one branch per decision a caller can make.

    LoomgraphError
    ├── DefinitionError             a builder call that cannot mean anything; fix the call
    ├── CompileError                the graph is unsound; `.findings` lists everything at once
    ├── ValueRefusedError           a value may not enter or leave here
    │   ├── InputRefusedError           the run's input is not of the declared type
    │   ├── OutputRefusedError          a node or a run produced something its annotation forbids
    │   ├── CodecError                  a value does not survive being stored as its declared type
    │   │   └── UnreadableError             a stored value is not of its declared type any more
    │   ├── ValueTooLargeError          a value is larger than the store takes
    │   └── CopyRefusedError            a value cannot be copied, so nodes could not be isolated
    ├── ActivationError             why one activation failed, when the engine itself says so
    │   ├── AmbiguousInputError         two alternatives of one input were taken in one pass
    │   ├── JoinIncompleteError         a required member of a join was skipped while another was taken
    │   ├── QuorumError                 an early join or map cannot reach its quorum any more
    │   ├── MapInputError               a map was given something that is not a list
    │   ├── ScopeCancelledError         a graph run with ctx.run was cancelled from outside
    │   ├── NoRouteError                no edge out of a conditional node matched
    │   ├── ConditionError              a `when` predicate raised
    │   ├── CacheKeyError               a cached node's input has no JSON form to compare by
    │   ├── EffectDoneError             a node that must not run twice would run with another input
    │   ├── StrayCancellationError      node code let out a cancellation that nobody asked for
    │   ├── BudgetExceededError         a call may use more than its budget has left
    │   ├── NodeTimeoutError            an attempt exceeded its `timeout`
    │   └── StateError                  StateConflictError, StateFieldError, StateTypeError, ReducerError
    ├── DrawingError                a drawing could not be laid out
    │   └── RendererMissingError        nothing on this machine draws that format; says what to install
    ├── GraphChangedError           a run is resumed with a graph that its log does not fit
    ├── InDoubtError                a node that must not run twice may have run when its process died
    ├── LogDamagedError             something in a log is not what was written; restore it from a copy
    ├── LogMismatchError            a log names what the graph does not have
    ├── UnknownEventError           a place in a log that is not there; says what is
    ├── EditRefusedError            what a fork was to change cannot be changed there
    │   └── EditTooLateError        it happened after the point at which the fork leaves the other run
    ├── ValueMissingError           a log names a value that its store does not have
    ├── RecordedError               a failure read back from a log, standing for the exception of then
    ├── QuestionError               something is wrong with a question or its answer; the run stays as it was
    │   ├── UnknownQuestionError        the run never asked that; names those that it did
    │   ├── QuestionClosedError         it has an answer already, or was withdrawn
    │   ├── InvalidAnswerError          the answer is not what the question asks for
    │   ├── InvalidSignalError          the value is not what the run waits for under that signal
    │   ├── QuestionChangedError        a node asks something else under the same id
    │   └── StorelessPauseError         a run would have to wait for somebody, and has no store to wait in
    ├── StoreError                  a store could not do what was asked; what was committed before is untouched
    │   ├── StoreAddressError           a store string that names no store
    │   ├── StoreLockedError            another process kept the database locked past the deadline
    │   ├── StoreCorruptError           the data is damaged; restore it from a copy
    │   ├── StoreFullError              no room left; make room and resume
    │   ├── StoreReadOnlyError          this process may not write the database
    │   ├── StoreKeyError               no key, or not the one that something was written with
    │   ├── StoreTamperedError          encrypted data was changed; restore it from a copy
    │   ├── StoreVersionError           written by a newer loomgraph; upgrade
    │   ├── RunExistsError              a run of that id is there already
    │   ├── UnknownRunError             there is no run of that id
    │   ├── RunBusyError                somebody owns the run; names them and until when
    │   ├── RunEndedError               the run has succeeded or failed, so it cannot be cancelled
    │   ├── LeaseLostError              the run was taken over; stop working on it
    │   └── AppendConflictError         what was to be written contradicts what is written
    ├── ModelError              a model call did not end in an answer; carries `.model`, `.status`, `.attempts`
    │   ├── ModelTransientError             the same call may succeed later; retried by default
    │   │   ├── ModelServerError            the provider failed
    │   │   ├── ModelOverloadedError        it has too much to do
    │   │   ├── ModelRateLimitError         too many calls; carries `.retry_after`
    │   │   ├── ModelConnectionError        not reached, or the connection broke
    │   │   ├── ModelTimeoutError           no answer began in time
    │   │   ├── StreamStalledError          an answer began and stopped coming
    │   │   ├── StreamTruncatedError        a stream ended before its answer was complete
    │   │   ├── CorruptResponseError        no JSON, or not of the protocol's shape
    │   │   └── ToolArgumentsError          a tool call whose arguments are cut off
    │   ├── ModelPermanentError             the same call fails the same way; never retried by default
    │   │   ├── ModelAuthenticationError    no key, or a wrong one
    │   │   ├── ModelPermissionError        the key may not do this
    │   │   ├── ModelQuotaError             no credit left
    │   │   ├── ModelNotFoundError          no such model, or no such API at that address
    │   │   ├── ModelRequestError           the request cannot be served as it is
    │   │   ├── ContextOverflowError        the conversation is too long
    │   │   ├── ContentFilterError          filtered or refused; carries `.response`
    │   │   └── OutputTruncatedError        the token limit was reached; carries `.response`
    │   ├── OutputValidationError           an answer not of the asked type; carries `.raw` and `.schema`
    │   ├── ModelsExhaustedError            every model of a FallbackModel failed; carries `.errors`
    │   ├── ScriptMismatchError             a scripted model was asked something else
    │   ├── ScriptExhaustedError            a scripted model was asked once too often
    │   └── CassetteError                   a cassette that cannot be read or has no answer
    │       └── CassetteMismatchError       no recording of this request; carries `.diff`
    ├── ModelNameError              a string that names no model
    ├── ModelMissingError           a model whose library is not installed
    ├── ToolError                   a tool call that could not be carried out; read by the model that asked for it
    │   ├── UnknownToolError            there is no tool of that name
    │   ├── ToolInputError              arguments that do not fit the tool's schema
    │   ├── ToolReferenceError          a reference to a result that is not there
    │   │   └── ToolCycleError              calls that wait for each other's results
    │   ├── ToolServerError             the server behind a tool is gone or too slow
    │   ├── ToolTimeoutError            a call was stopped after its tool's timeout
    │   └── ToolResultError             a tool returned what JSON cannot hold
    ├── ArchitectureError           an architecture came to no answer; carries the work that was finished
    │   ├── ThresholdError              no draft was good enough; carries all of them
    │   ├── EmptyBeamError              no first thought was good enough; carries all that were scored
    │   ├── DebateQuorumError           too many debaters failed; carries what they said before
    │   ├── UnresolvableRouteError      a router's choice leads nowhere and there is no fallback
    │   ├── UnknownWorkerError          somebody was named who is not there
    │   ├── SpawnError                  a worker that a model wanted could not be made
    │   ├── PingPongError               two agents handed a task to each other again and again
    │   └── PlanError                   EmptyPlanError, PlanTooLongError, PlanStepError, CyclicPlanError
    └── RunError                    a run ended without a result; carries `.run_id` and what finished
        ├── NodeFailedError             one or more activations failed; the first one's exception is `__cause__`
        ├── LoopCapError                a loop reached its cap; names the cycle, carries the last values
        ├── ExitOvertakenError          a loop was left and repeated in the same iteration
        ├── ActivationLimitError        the run's total cap was reached
        ├── NoResultError               the run ended and END was never reached
        ├── RunSuspendedError           the run waits for somebody, so it has no output yet
        ├── RunCancelledError           somebody cancelled the run
        └── DeadlineError               the run exceeded its deadline

Errors take typed arguments and build their own sentence: what is wrong, by name, then what to do.
One branch a file. Nothing here imports more of loomgraph, and no message shows more than 200 characters of a value.
"""

from __future__ import annotations

from loomgraph.errors.activation import (
    ActivationError,
    AmbiguousInputError,
    BudgetExceededError,
    CacheKeyError,
    ConditionError,
    EffectDoneError,
    JoinIncompleteError,
    MapInputError,
    NodeTimeoutError,
    NoRouteError,
    QuorumError,
    ReducerError,
    ScopeCancelledError,
    StateConflictError,
    StateError,
    StateFieldError,
    StateTypeError,
    StrayCancellationError,
)
from loomgraph.errors.architectures import (
    ArchitectureError,
    CyclicPlanError,
    DebateQuorumError,
    EmptyBeamError,
    EmptyPlanError,
    PingPongError,
    PlanError,
    PlanStepError,
    PlanTooLongError,
    SpawnError,
    ThresholdError,
    UnknownWorkerError,
    UnresolvableRouteError,
)
from loomgraph.errors.base import (
    CompileError,
    DefinitionError,
    Failure,
    Finding,
    LoomgraphError,
    brief,
    brief_text,
    names,
)
from loomgraph.errors.drawing import DrawingError, RendererMissingError
from loomgraph.errors.log import (
    EditRefusedError,
    EditTooLateError,
    GraphChangedError,
    InDoubtError,
    LogDamagedError,
    LogMismatchError,
    RecordedError,
    UnknownEventError,
    ValueMissingError,
)
from loomgraph.errors.models import (
    CassetteError,
    CassetteMismatchError,
    ContentFilterError,
    ContextOverflowError,
    CorruptResponseError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelMissingError,
    ModelNameError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelPermanentError,
    ModelPermissionError,
    ModelQuotaError,
    ModelRateLimitError,
    ModelRequestError,
    ModelServerError,
    ModelsExhaustedError,
    ModelTimeoutError,
    ModelTransientError,
    OutputTruncatedError,
    OutputValidationError,
    ScriptExhaustedError,
    ScriptMismatchError,
    StreamStalledError,
    StreamTruncatedError,
    ToolArgumentsError,
)
from loomgraph.errors.questions import (
    InvalidAnswerError,
    InvalidSignalError,
    QuestionChangedError,
    QuestionClosedError,
    QuestionError,
    StorelessPauseError,
    UnknownQuestionError,
)
from loomgraph.errors.run import (
    ActivationLimitError,
    DeadlineError,
    ExitOvertakenError,
    LoopCapError,
    NodeFailedError,
    NoResultError,
    RunCancelledError,
    RunError,
    RunSuspendedError,
)
from loomgraph.errors.store import (
    AppendConflictError,
    LeaseLostError,
    RunBusyError,
    RunEndedError,
    RunExistsError,
    StoreAddressError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreKeyError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreTamperedError,
    StoreVersionError,
    UnknownRunError,
)
from loomgraph.errors.tools import (
    ToolCycleError,
    ToolError,
    ToolInputError,
    ToolReferenceError,
    ToolResultError,
    ToolServerError,
    ToolTimeoutError,
    UnknownToolError,
)
from loomgraph.errors.values import (
    CodecError,
    CopyRefusedError,
    InputRefusedError,
    OutputRefusedError,
    UnreadableError,
    ValueRefusedError,
    ValueTooLargeError,
)

__all__ = [
    "ActivationError",
    "ActivationLimitError",
    "AmbiguousInputError",
    "AppendConflictError",
    "ArchitectureError",
    "BudgetExceededError",
    "CacheKeyError",
    "CassetteError",
    "CassetteMismatchError",
    "CodecError",
    "CompileError",
    "ConditionError",
    "ContentFilterError",
    "ContextOverflowError",
    "CopyRefusedError",
    "CorruptResponseError",
    "CyclicPlanError",
    "DeadlineError",
    "DebateQuorumError",
    "DefinitionError",
    "DrawingError",
    "EditRefusedError",
    "EditTooLateError",
    "EffectDoneError",
    "EmptyBeamError",
    "EmptyPlanError",
    "ExitOvertakenError",
    "Failure",
    "Finding",
    "GraphChangedError",
    "InDoubtError",
    "InputRefusedError",
    "InvalidAnswerError",
    "InvalidSignalError",
    "JoinIncompleteError",
    "LeaseLostError",
    "LogDamagedError",
    "LogMismatchError",
    "LoomgraphError",
    "LoopCapError",
    "MapInputError",
    "ModelAuthenticationError",
    "ModelConnectionError",
    "ModelError",
    "ModelMissingError",
    "ModelNameError",
    "ModelNotFoundError",
    "ModelOverloadedError",
    "ModelPermanentError",
    "ModelPermissionError",
    "ModelQuotaError",
    "ModelRateLimitError",
    "ModelRequestError",
    "ModelServerError",
    "ModelTimeoutError",
    "ModelTransientError",
    "ModelsExhaustedError",
    "NoResultError",
    "NoRouteError",
    "NodeFailedError",
    "NodeTimeoutError",
    "OutputRefusedError",
    "OutputTruncatedError",
    "OutputValidationError",
    "PingPongError",
    "PlanError",
    "PlanStepError",
    "PlanTooLongError",
    "QuestionChangedError",
    "QuestionClosedError",
    "QuestionError",
    "QuorumError",
    "RecordedError",
    "ReducerError",
    "RendererMissingError",
    "RunBusyError",
    "RunCancelledError",
    "RunEndedError",
    "RunError",
    "RunExistsError",
    "RunSuspendedError",
    "ScopeCancelledError",
    "ScriptExhaustedError",
    "ScriptMismatchError",
    "SpawnError",
    "StateConflictError",
    "StateError",
    "StateFieldError",
    "StateTypeError",
    "StoreAddressError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreKeyError",
    "StoreLockedError",
    "StoreReadOnlyError",
    "StoreTamperedError",
    "StoreVersionError",
    "StorelessPauseError",
    "StrayCancellationError",
    "StreamStalledError",
    "StreamTruncatedError",
    "ThresholdError",
    "ToolArgumentsError",
    "ToolCycleError",
    "ToolError",
    "ToolInputError",
    "ToolReferenceError",
    "ToolResultError",
    "ToolServerError",
    "ToolTimeoutError",
    "UnknownEventError",
    "UnknownQuestionError",
    "UnknownRunError",
    "UnknownToolError",
    "UnknownWorkerError",
    "UnreadableError",
    "UnresolvableRouteError",
    "ValueMissingError",
    "ValueRefusedError",
    "ValueTooLargeError",
    "brief",
    "brief_text",
    "names",
]
