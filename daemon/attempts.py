"""What a run of a job's handler comes to: a command.

An attempt may take several runs: where a provider takes a call and works on it, the run is unwound
and the job waits at the desk; its next run goes on with what was found there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from daemon.asking import DryRun, Parked, Polled
from daemon.cancelling import call_off
from daemon.context import JournaledContext
from daemon.deadlines import is_late, last_attempt, too_late
from daemon.decisions import EndCancelled, Fail, Hold, JobCommand, Park, Run, Start, Succeed
from daemon.dependencies import Dependencies
from daemon.endings import cause_of, problem_in, too_many_crashes
from daemon.errors import BadRequest, Problem
from daemon.jobs import Job
from daemon.polldesk import PollDesk
from daemon.recall import Recall
from daemon.retries import Failed, next_attempt
from daemon.services import Services
from daemon.state import State
from daemon.streams import Stream
from daemon.treasury import OverBudget
from handlers.contract import Handler


class Attempts:
    """Runs handlers.

    Args:
        services: everything a job's context needs.
        state: where each job stands.
        recall: gives each job its request.
        handlers: by task.
        desk: where jobs wait for providers.
        dependencies: who waits for whom.
        is_kept_off: whether a provider asked for patience.
    """

    def __init__(
        self,
        services: Services,
        state: State,
        recall: Recall,
        handlers: Mapping[str, Handler],
        desk: PollDesk,
        dependencies: Dependencies,
        is_kept_off: Callable[[str], bool],
    ) -> None:
        self._with = services
        self._state = state
        self._recall = recall
        self._handlers = handlers
        self._desk = desk
        self._dependencies = dependencies
        self._is_kept_off = is_kept_off
        self._streaks: dict[str, int] = {}  # provider -> how often in a row it asked for patience
        self.contexts: dict[str, JournaledContext] = {}
        """Of the jobs that run."""

    async def command(self, stream: Stream, found: Mapping[str, Polled]) -> JobCommand:
        """Run the handler of a job; what it came to.

        Args:
            stream: the job's.
            found: by step, what providers made of calls that they took.
        """
        job = stream.job
        if job.cancelling:
            return EndCancelled(job.id, await self.left(job.id))
        if is_late(job, self._with.clock):
            return Fail(job.id, await self.left(job.id), too_late(job))
        if self._dependencies.is_doomed(job.id):
            return await self._doomed(job)
        if job.runs >= self._with.settings.max_crashes:
            return Fail(job.id, Run(), too_many_crashes(job.runs))
        stream.begin(Start(job.id))
        try:
            await self._run(stream, found)
        except BadRequest as error:
            return Fail(job.id, Run(), error.problem)
        except DryRun:
            pass
        except Exception as error:
            command = await self._stopped_by(stream, cause_of(error))
            if command is not None:
                return command
        self._streaks.pop(job.provider, None)
        context = self.contexts.get(job.id)
        return Succeed(job.id, context.run() if context is not None else Run())

    async def _doomed(self, job: Job) -> Fail:
        """What comes of a job that waited for others in vain."""
        get = self._with.log.get
        problem = await asyncio.to_thread(self._dependencies.reason, job.id, get)
        left = await self.left(job.id)
        return Fail(job.id, left, problem or Problem("internal", "the job waited in vain"))

    async def _run(self, stream: Stream, found: Mapping[str, Polled]) -> None:
        job = stream.job
        request = await self._recall.request(job)
        journal = await self._recall.journal(job)
        context = JournaledContext(request, journal, stream, self._with, found)
        self.contexts[job.id] = context
        await self._handlers[request.task].run(request.fields, context)

    async def _stopped_by(self, stream: Stream, cause: Exception) -> JobCommand | None:
        """What comes of a run that did not get to its end; None where a dry run did."""
        job_id, context = stream.job.id, self.contexts.get(stream.job.id)
        if isinstance(cause, Parked | OverBudget) and context is not None:
            await context.settle()
            if isinstance(cause, OverBudget) and not context.under_way:
                return Hold(job_id, cause.name)
            return await self._park(job_id, context)
        problem = problem_in(stream.job, cause)
        if problem is None:
            return None
        if context is None:
            return Fail(job_id, Run(), problem)
        return self._failure(stream.job, context, problem)

    async def _park(self, job_id: str, context: JournaledContext) -> Park:
        """Have a job wait for its providers; nothing of its run is under way any more."""
        job, calls = self._state.jobs[job_id], context.under_way
        self._streaks.pop(job.provider, None)
        due = await self._desk.park(job, context.envelope, calls)
        return Park(job_id, due, tuple(calls))

    def _failure(self, job: Job, context: JournaledContext, problem: Problem) -> JobCommand:
        """Try again, or fail."""
        asked = context.provider or job.provider
        failed = Failed(problem, job.attempt, asked, context.tried, self._in_a_row(job, problem))
        after = next_attempt(
            failed,
            context.alternatives,
            context.max_attempts,
            self._with.clock.now(),
            self._with.settings,
        )
        if after is not None and job.deadline is not None and after.due >= job.deadline:
            problem, after = last_attempt(problem, after.due, job.deadline), None
        return Fail(job.id, context.run(), problem, after, asked)

    def _in_a_row(self, job: Job, problem: Problem) -> int:
        """How often in a row the provider of a job that failed has asked for patience. Those that
        were under way when it did so first have nothing new to say."""
        if problem.code != "provider_rate_limited":
            self._streaks.pop(job.provider, None)
            return 1
        if not self._is_kept_off(job.provider):
            self._streaks[job.provider] = self._streaks.get(job.provider, 0) + 1
        return self._streaks.get(job.provider, 1)

    # ------------------------------------------------------------ an end before the end

    async def left(self, job_id: str) -> Run:
        """What a job came to that nobody goes on with. Who works on a call of it is told."""
        run = await self.let_go(job_id)
        return run._replace(warnings=[*run.warnings, *await self.called_off(job_id)])

    async def let_go(self, job_id: str) -> Run:
        """Let go of what a job has under way, but for what is being recorded; what it came to."""
        context = self.contexts.get(job_id)
        if context is not None:
            context.stopped()
            await context.settle()
            return context.run()
        job = self._state.jobs[job_id]
        return (await self._recall.journal(job)).run(job)

    async def called_off(self, job_id: str) -> list[str]:
        """Tell who works on a call of a job that nobody waits for it; what came of that."""
        journal = await self._recall.journal(self._state.jobs[job_id])
        return await call_off(journal.under_way().values(), self._with)
