# SPDX-License-Identifier: Apache-2.0
"""What people do at a repository by GitHub's pages and by their own git."""

from collections.abc import Mapping, Sequence

from github.accounts import Account
from github.pulls import Comment, LineComment, Pull, Review
from github.repositories import Repository
from github.state import State

GITHUB = ("GitHub", "noreply@github.com")
"""Committer of what a button made."""


class Person:
    """Somebody at a repository. What they do there is done at once, and pull requests follow."""

    def __init__(self, state: State, repo: Repository, account: Account) -> None:
        self.state, self.repo, self.account = state, repo, account

    def pull(self, number: int) -> Pull:
        with self.state.lock:
            self.state.settle(self.account)
            found = self.state.pulls.numbered(self.repo, number)
        assert found is not None, f"{self.repo.full_name} has no pull request {number}"
        return found

    def merge_button(self, number: int) -> str:
        """The button "Squash and merge": one commit, `Title (#N)`, with the commits' messages as its text."""
        pull = self.pull(number)
        texts = [pull.repo.show(commit, "%B").strip() for commit in pull.commits()]
        told = [texts[0].partition("\n")[2].strip()] if len(texts) == 1 else [f"* {text}" for text in texts]
        people = dict.fromkeys(pull.repo.show(commit, "%an <%ae>") for commit in pull.commits())
        others = [f"Co-authored-by: {who}" for who in people if f"<{pull.author.email}>" not in who]
        rule = ["---------"] if others and len(texts) > 1 else []
        parts = [f"{pull.title} (#{number})", *told, *rule, "\n".join(others)]
        text = "\n\n".join(filter(None, parts)) + "\n"
        return self._merge(pull, self._commit(self._tree(pull), pull, text, pull.author))

    def merge_commit(self, number: int) -> str:
        """The button "Create a merge commit"."""
        pull = self.pull(number)
        text = f"Merge pull request #{number} from {pull.head_owner.login}/{pull.head}\n\n{pull.title}\n"
        tree = self._tree(pull)
        return self._merge(pull, self._commit(tree, pull, text, self.account, pull.head_sha))

    def rebase_merge(self, number: int) -> str:
        """The button "Rebase and merge": each commit once more, with its author and another committer."""
        pull = self.pull(number)
        tip = pull.repo.tip(pull.base)
        for commit in pull.commits():
            tree = pull.repo.merged_from(f"{commit}^", tip, commit)
            assert tree, f"{commit} conflicts with {pull.base}"
            name, email, date, text = pull.repo.show(commit, "%an%x00%ae%x00%aI%x00%B").split("\0")
            author, committer = (name, email, date), (*GITHUB, self._date())
            tip = pull.repo.commit_tree(tree, [tip], text, author=author, committer=committer)
        return self._merge(pull, tip)

    def merge_script(self, number: int) -> str:
        """Spark's way: a squash with trailers is pushed, and its words close the pull request; it is not merged."""
        pull = self.pull(number)
        ann, by = pull.author, self.account
        trailers = (
            f"Closes #{number} from {pull.head_owner.login}/{pull.head}.\n\n"
            f"Authored-by: {ann.name} <{ann.email}>\nSigned-off-by: {by.name} <{by.email}>\n"
        )
        text = "\n\n".join(filter(None, [pull.title, (pull.body or "").strip(), trailers]))
        commit = pull.repo.commit_tree(
            self._tree(pull),
            [pull.repo.tip(pull.base)],
            text,
            author=self._as(ann),
            committer=self._as(by),
        )
        return self._push(pull.base, commit)

    def close(self, number: int) -> None:
        pull = self.pull(number)
        self.state.pulls.close(pull, self.account, self.state.now())

    def reopen(self, number: int) -> None:
        pull = self.pull(number)
        self.state.pulls.reopen(pull, self.account, self.state.now())

    def comment(self, number: int, body: str) -> None:
        pull = self.pull(number)
        new = {"id": self.state.pulls.new_id(), "author": self.account, "at": self.state.now()}
        pull.comments.append(Comment(body=body, **new))
        pull.updated_at = self.state.now()

    def review(
        self, number: int, state: str, body: str = "", comments: Sequence[tuple[str, int, str]] = ()
    ) -> None:
        """Review it.

        Args:
            number: Of the pull request.
            state: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED.
            body: What is said of the whole.
            comments: Path, line and text of each comment on a line.
        """
        pull, now = self.pull(number), self.state.now()
        made = {"author": self.account, "at": now, "commit": pull.head_sha}
        review = Review(id=self.state.pulls.new_id(), state=state, body=body, **made)
        pull.reviews.append(review)
        for path, line, text in comments:
            new = LineComment(
                id=self.state.pulls.new_id(), review=review.id, path=path, line=line, body=text, **made
            )
            pull.line_comments.append(new)
        pull.updated_at = now

    def push_by_other(self, number: int, files: Mapping[str, str | None], *, force: bool = False) -> str:
        """Push a commit onto a pull request's branch; with `force` in place of its last one."""
        pull = self.pull(number)
        assert pull.head_repo is not None, "its repository is gone"
        return self._change(pull.head_repo, pull.head, files, "Change by another hand\n", amend=force)

    def commit(self, branch: str, files: Mapping[str, str | None], message: str = "Go on\n") -> str:
        """Push a commit to a branch of this repository; a new branch starts at the default one."""
        return self._change(self.repo, branch, files, message)

    def revert(self, number: int) -> str:
        """Push a commit that takes back what a pull request brought, as `git revert` writes it."""
        pull = self.pull(number)
        closing = [event.commit for event in pull.events if event.kind == "closed" and event.commit]
        commit = pull.merge_commit if pull.merged_at else closing[-1] if closing else None
        assert commit, f"{number} brought nothing"
        tip = pull.repo.tip(pull.base)
        tree = pull.repo.merged_from(commit, tip, f"{commit}^")
        assert tree, f"{commit} cannot be taken back from {pull.base}"
        text = f'Revert "{pull.repo.show(commit, "%s")}"\n\nThis reverts commit {commit}.\n'
        by = self._as(self.account)
        return self._push(pull.base, pull.repo.commit_tree(tree, [tip], text, author=by, committer=by))

    def tag(self, name: str, ref: str = "") -> None:
        """Push an annotated tag of a ref, or of the default branch."""
        name_, email, date = self._as(self.account)
        env = {"GIT_COMMITTER_NAME": name_, "GIT_COMMITTER_EMAIL": email, "GIT_COMMITTER_DATE": date}
        ref = ref or self.repo.default_branch
        self.repo.git("tag", "--annotate", "--message", f"Release {name}", name, ref, env=env)

    def delete_branch(self, number: int) -> None:
        """Delete a pull request's branch."""
        pull = self.pull(number)
        assert pull.head_repo is not None, "its repository is gone"
        pull.head_repo.git("update-ref", "-d", f"refs/heads/{pull.head}")
        self.state.settle(self.account)

    def _change(
        self,
        repo: Repository,
        branch: str,
        files: Mapping[str, str | None],
        text: str,
        *,
        amend: bool = False,
    ) -> str:
        tip = repo.tip(branch) or repo.tip(repo.default_branch)
        by = self._as(self.account)
        parent = f"{tip}^" if amend else tip
        made = repo.commit_tree(repo.tree_with(tip, files), [parent], text, author=by, committer=by)
        return self._push(branch, made, repo)

    def _push(self, branch: str, commit: str, repo: Repository | None = None) -> str:
        with self.state.lock:
            (repo or self.repo).move(branch, commit)
            self.state.settle(self.account)
        return commit

    def _tree(self, pull: Pull) -> str:
        assert not pull.closed_at, f"{pull.number} is closed"
        tree = pull.repo.merged(pull.repo.tip(pull.base), pull.head_sha)
        assert tree, f"{pull.number} conflicts with {pull.base}"
        return tree

    def _commit(self, tree: str, pull: Pull, text: str, author: Account, *parents: str) -> str:
        return pull.repo.commit_tree(
            tree,
            [pull.repo.tip(pull.base), *parents],
            text,
            author=self._as(author),
            committer=(*GITHUB, self._date()),
        )

    def _merge(self, pull: Pull, commit: str) -> str:
        with self.state.lock:
            self.state.pulls.merge(pull, self.account, self.state.now(), commit)
            return self._push(pull.base, commit)

    def _date(self) -> str:
        return self.state.now().isoformat(timespec="seconds")

    def _as(self, account: Account) -> tuple[str, str, str]:
        return account.name, account.email, self._date()
