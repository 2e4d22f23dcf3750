# SPDX-License-Identifier: Apache-2.0
"""What GitHub tells of things: values by the names of its schemas, filled up to what those require."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from github.accounts import Account
from github.description import Description
from github.pulls import Comment, Event, LineComment, Pull, Review
from github.repositories import Repository

Json = dict[str, Any]


def stamp(at: datetime | None) -> str | None:
    """RFC 3339 in whole seconds, as GitHub writes times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How things look to who asks.

    Attributes:
        api: Root of the API's URLs.
        web: Root of what people and git open.
        version: Of the API.
        accounts: Address -> whom GitHub takes for a commit's author.
    """

    description: Description
    api: str
    web: str
    version: str
    asker: Account | None
    accounts: dict[str, Account]

    def user(self, account: Account) -> Json:
        url = f"{self.api}/users/{account.login}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": f"U_{account.id}",
            "url": url,
            "html_url": f"{self.web}/{account.login}",
            "repos_url": f"{url}/repos",
            "type": account.kind,
            "site_admin": False,
        }

    def myself(self, account: Account) -> Json:
        named = {"name": account.name, "email": account.email, "user_view_type": "private"}
        return self.description.filled("private-user", self.user(account) | named)

    def _at(self, repo: Repository, rest: str = "") -> str:
        return f"{self.api}/repos/{repo.full_name}{rest}"

    def _page(self, repo: Repository, rest: str = "") -> str:
        return f"{self.web}/{repo.full_name}{rest}"

    def repository(self, repo: Repository) -> Json:
        may = repo.may_push(self.asker)
        mine = {"admin": may, "maintain": may, "push": may, "triage": may, "pull": True}
        return {
            "id": repo.id,
            "node_id": f"R_{repo.id}",
            "name": repo.name,
            "full_name": repo.full_name,
            "owner": self.user(repo.owner),
            "private": repo.private,
            "visibility": "private" if repo.private else "public",
            "fork": repo.parent is not None,
            "default_branch": repo.default_branch,
            "url": self._at(repo),
            "html_url": self._page(repo),
            "clone_url": self._page(repo, ".git"),
            "pulls_url": self._at(repo, "/pulls{/number}"),
            "created_at": stamp(repo.created_at),
            **({"permissions": mine} if self.asker else {}),
        }

    def whole_repository(self, repo: Repository) -> Json:
        said = self.repository(repo)
        if repo.parent is not None:
            said |= {"parent": self.repository(repo.parent), "source": self.repository(repo.source)}
        if repo.owner.kind == "Organization":
            said["organization"] = self.user(repo.owner)
        return self.description.filled("full-repository", said)

    def _side(self, owner: Account, repo: Repository | None, branch: str, sha: str) -> Json:
        return {
            "label": f"{owner.login}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(owner),
            "repo": repo and self.repository(repo),
        }

    def pull(self, pull: Pull, *, whole: bool) -> Json:
        """A pull request, or (not `whole`) how lists have it."""
        there, page = f"/pulls/{pull.number}", self._page(pull.repo, f"/pull/{pull.number}")
        issue = self._at(pull.repo, f"/issues/{pull.number}")
        urls = {
            "self": self._at(pull.repo, there),
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": self._at(pull.repo, f"{there}/comments"),
            "review_comment": self._at(pull.repo, "/pulls/comments{/number}"),
            "commits": self._at(pull.repo, f"{there}/commits"),
            "statuses": self._at(pull.repo, f"/statuses/{pull.head_sha}"),
        }
        said = {
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "number": pull.number,
            "url": urls["self"],
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            **{f"{name}_url": urls[name] for name in urls if name not in {"self", "html"}},
            "_links": {name: {"href": url} for name, url in urls.items()},
            "state": pull.state,
            "title": pull.title,
            "body": pull.body,
            "user": self.user(pull.author),
            "draft": pull.draft,
            "created_at": stamp(pull.created_at),
            "updated_at": stamp(pull.updated_at),
            "closed_at": stamp(pull.closed_at),
            "merged_at": stamp(pull.merged_at),
            "head": self._side(pull.head_owner, pull.head_repo, pull.head, pull.head_sha),
            "base": self._side(pull.repo.owner, pull.repo, pull.base, pull.base_sha),
            "author_association": self._association(pull.repo, pull.author),
        }
        if self.version < "2026-03-10":
            said["merge_commit_sha"] = pull.merge_commit
        if whole:
            return self.description.filled("pull-request", said | self._more(pull))
        return self.description.filled("pull-request-simple", said)

    def _more(self, pull: Pull) -> Json:
        known = {True: "clean", False: "dirty", None: "unknown"}
        tally = pull.repo.git("diff", "--numstat", f"{pull.base_sha}...{pull.head_sha}").splitlines()
        counts = [line.split("\t")[:2] for line in tally]
        return {
            "merged": pull.merged_at is not None,
            "mergeable": None if pull.closed_at else pull.mergeable,
            "mergeable_state": "unknown" if pull.closed_at else known[pull.mergeable],
            "merged_by": pull.merged_by and self.user(pull.merged_by),
            "maintainer_can_modify": pull.maintainer_can_modify,
            "comments": len(pull.comments),
            "review_comments": len(pull.line_comments),
            "commits": len(pull.commits()),
            "additions": sum(int(added) for added, _ in counts if added != "-"),
            "deletions": sum(int(gone) for _, gone in counts if gone != "-"),
            "changed_files": len(counts),
        }

    def _association(self, repo: Repository, account: Account) -> str:
        return "MEMBER" if repo.may_push(account) else "CONTRIBUTOR"

    def _said(self, pull: Pull, thing: Review | Comment | LineComment, anchor: str) -> Json:
        url = self._at(pull.repo, f"/pulls/{pull.number}")
        page = self._page(pull.repo, f"/pull/{pull.number}#{anchor}{thing.id}")
        links = {"html": {"href": page}, "pull_request": {"href": url}}
        return {
            "id": thing.id,
            "user": self.user(thing.author),
            "body": thing.body,
            "html_url": page,
            "author_association": self._association(pull.repo, thing.author),
        } | ({} if isinstance(thing, Comment) else {"pull_request_url": url, "_links": links})

    def review(self, pull: Pull, review: Review) -> Json:
        said = self._said(pull, review, "pullrequestreview-")
        said |= {"state": review.state, "submitted_at": stamp(review.at), "commit_id": review.commit}
        return self.description.filled("pull-request-review", said)

    def line_comment(self, pull: Pull, comment: LineComment) -> Json:
        url = self._at(pull.repo, f"/pulls/comments/{comment.id}")
        said = self._said(pull, comment, "discussion_r")
        said["_links"]["self"] = {"href": url}
        said |= {
            "url": url,
            "pull_request_review_id": comment.review,
            "path": comment.path,
            "line": comment.line,
            "side": "RIGHT",
            "commit_id": pull.head_sha,
            "original_commit_id": comment.commit,
            "created_at": stamp(comment.at),
            "updated_at": stamp(comment.at),
        }
        return self.description.filled("pull-request-review-comment", said)

    def comment(self, pull: Pull, comment: Comment) -> Json:
        said = self._said(pull, comment, "issuecomment-")
        said |= {
            "url": self._at(pull.repo, f"/issues/comments/{comment.id}"),
            "issue_url": self._at(pull.repo, f"/issues/{pull.number}"),
            "created_at": stamp(comment.at),
            "updated_at": stamp(comment.at),
        }
        return self.description.filled("issue-comment", said)

    def event(self, pull: Pull, event: Event) -> Json:
        said = {
            "id": event.id,
            "url": self._at(pull.repo, f"/issues/events/{event.id}"),
            "actor": self.user(event.actor),
            "event": event.kind,
            "commit_id": event.commit,
            "commit_url": event.commit and self._at(pull.repo, f"/commits/{event.commit}"),
            "created_at": stamp(event.at),
        }
        if event.rename:
            said["rename"] = {"from": event.rename[0], "to": event.rename[1]}
            return self.description.filled("renamed-issue-event", said)
        return self.description.filled("state-change-issue-event", said)

    def commit(self, repo: Repository, commit: str, *, whole: bool = False) -> Json:
        """A commit, or (not `whole`) how lists have it, without its files."""
        tree, parents, author, committer, message = repo.show(
            commit, "%T%x00%P%x00%an%n%ae%n%aI%x00%cn%n%ce%n%cI%x00%B"
        ).split("\0")
        people = {"author": author.split("\n"), "committer": committer.split("\n")}
        known = {role: self.accounts.get(person[1]) for role, person in people.items()}
        said = {
            "sha": commit,
            "url": self._at(repo, f"/commits/{commit}"),
            "html_url": self._page(repo, f"/commit/{commit}"),
            "commit": {
                "url": self._at(repo, f"/git/commits/{commit}"),
                "message": message.rstrip("\n"),
                "tree": {"sha": tree, "url": self._at(repo, f"/git/trees/{tree}")},
                **{
                    role: {"name": name, "email": email, "date": stamp(datetime.fromisoformat(at))}
                    for role, (name, email, at) in people.items()
                },
            },
            **{role: account and self.user(account) for role, account in known.items()},
            "parents": [{"sha": each, "url": self._at(repo, f"/commits/{each}")} for each in parents.split()],
        }
        return self.description.filled("commit", said | (self._changed(repo, commit) if whole else {}))

    def _changed(self, repo: Repository, commit: str) -> Json:
        words = (
            "diff-tree",
            "--root",
            "--no-commit-id",
            "--no-renames",
            "-r",
            "-m",
            "--first-parent",
            commit,
        )
        kinds = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}
        status = dict(line.split("\t")[::-1] for line in repo.git(*words, "--name-status").splitlines())
        files = []
        for line in repo.git(*words, "--numstat").splitlines():
            added, gone, name = line.replace("-\t", "0\t").split("\t")
            counts = {"additions": int(added), "deletions": int(gone), "changes": int(added) + int(gone)}
            files.append({"filename": name, "status": kinds[status[name]], **counts})
        added, gone = (sum(file[what] for file in files) for what in ("additions", "deletions"))
        return {"files": files, "stats": {"additions": added, "deletions": gone, "total": added + gone}}

    def branch(self, repo: Repository, name: str, tip: str) -> Json:
        there = self._at(repo, f"/branches/{name}")
        links = {"self": there, "html": self._page(repo, f"/tree/{name}")}
        said = {"name": name, "commit": self.commit(repo, tip), "_links": links, "protected": False}
        return self.description.filled(
            "branch-with-protection", said | {"protection_url": f"{there}/protection"}
        )

    def ref(self, repo: Repository, ref: str, target: str) -> Json:
        kind = repo.git("cat-file", "-t", target)
        place = self._at(repo, f"/git/{kind}s/{target}")
        said = {"ref": f"refs/{ref}", "object": {"type": kind, "sha": target, "url": place}}
        return self.description.filled("git-ref", said | {"url": self._at(repo, f"/git/refs/{ref}")})


def numbered(items: Sequence[Any], page: int, size: int) -> tuple[Sequence[Any], dict[str, int]]:
    """A page of a list, and which other pages there are, by what a Link header calls them."""
    last = max(1, -(-len(items) // size))
    pages = {"prev": page - 1, "next": page + 1, "last": last, "first": 1} if last > 1 else {}
    wanted = {name: number for name, number in pages.items() if 1 <= number <= last}
    if page == last:
        wanted.pop("last", None)
    if page == 1:
        wanted.pop("first", None)
    return items[(page - 1) * size : page * size], wanted
