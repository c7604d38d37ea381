"""Steps of the engine itself: they decide at once, in memory, and their outcomes ride with the next commit."""

from __future__ import annotations

from dataclasses import dataclass

from app.engine.core.events import StepIntended, StepSucceeded
from app.engine.core.graph import GraphNode
from app.engine.core.moves import in_broken
from app.engine.core.plan import StartStep
from app.engine.core.values import to_json
from app.engine.runtime.people import People
from app.engine.runtime.perform import Performer
from app.engine.runtime.waits import Waits
from app.engine.steps.base import Ask, Decision, Expand, Fill, Poll, Sleep, Waiting


@dataclass
class FlowSteps:
    """The flow steps of one walk."""

    performer: Performer
    people: People
    waits: Waits

    async def decide_all(self, commands: list[StartStep]) -> None:
        """Steps that are ready together: their intents share one commit, their outcomes ride with the next.

        What follows is decided while that commit is under way, as nothing outside is touched by them.
        """
        journal = self.performer.journal
        answers: list[tuple[GraphNode, Decision]] = []
        asks: list[tuple[GraphNode, Ask | Fill]] = []
        waits: list[tuple[GraphNode, Sleep | Poll]] = []
        effects = False
        for command in commands:
            node = journal.state.graph.nodes[command.node]
            if not self._goes_on(node):
                continue
            answer = self.decide(node)
            if isinstance(answer, Ask | Fill):
                asks.append((node, answer))
            elif isinstance(answer, Expand):
                continue  # its body is laid out already
            elif isinstance(answer, Sleep | Poll):
                waits.append((node, answer))
            elif answer is not None:
                answers.append((node, answer))
                if node.info.writes:
                    effects = True
                    journal.note(StepIntended(node.id, attempt=command.attempt))
        if effects and any(node.out for node, _ in answers):
            await journal.flush_behind()
        elif effects:
            await journal.flush()  # nothing comes after them that could be decided meanwhile
        for node, decision in answers:
            if self._goes_on(node):
                journal.note(StepSucceeded(node.id, output=to_json(decision.output), port=decision.port))
        for node, wait in waits:
            if self._goes_on(node):
                self.waits.begin(node, wait)
        for node, ask in asks:
            if self._goes_on(node):
                await (self.people.ask(node, ask) if isinstance(ask, Fill) else self.performer.ask(node, ask))

    def _goes_on(self, node: GraphNode) -> bool:
        """Whether the step is still wanted. One that was ready with it may have failed meanwhile, which stops the run
        or their part of it: nobody is to be asked for what is over, and what was given up has no outcome."""
        state = self.performer.journal.state
        now = state.states[node.index]
        if now.state == "running":
            return True  # its intent is recorded, so it is finished
        return not (now.terminal or state.stopping or in_broken(state, node.index))

    def decide(self, node: GraphNode) -> Decision | Waiting | Expand | None:
        """What the step answers; None where it failed. Where it holds others they are laid out."""
        stage, journal = self.performer.stage, self.performer.journal
        if stage.is_undo:
            return Decision(port=node.info.ports[0])
        try:
            scope = stage.scope(journal.state, node.id)
            rendered = stage.rendered(node, scope)
            answer = stage.decide(node, rendered, scope, "apply")
            if isinstance(answer, Expand):
                journal.note(stage.expansion(journal.state, node, answer, rendered))
            return answer
        except Exception as error:
            self.performer.fail(node, error)
            return None

    def finish_body(self, node: GraphNode) -> None:
        """A step's body is over: its result, or another round."""
        stage, journal = self.performer.stage, self.performer.journal
        try:
            answer = stage.finish_body(journal.state, node, "apply")
            if isinstance(answer, Expand):
                journal.note(stage.expansion(journal.state, node, answer, None))
            elif isinstance(answer, Decision):
                journal.note(StepSucceeded(node.id, output=to_json(answer.output), port=answer.port))
        except Exception as error:
            self.performer.fail(node, error, final=True)
