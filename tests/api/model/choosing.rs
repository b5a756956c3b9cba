//! The random choices of a run.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use super::action::{Action, Reaction, Verb};
use super::graph::{Filter, Query, Replies, Term, name};
use super::reading::{Reader, Search};
use super::{MIN_USERS, Run, USERS, WATCHERS};
use crate::support::app::TestApp;

/// Words of posts. Some begin with others.
const WORDS: [&str; 6] = ["red", "redwood", "blue", "bluebird", "Green", "sea"];
/// Number of the newest posts that are likely to be replied to.
const RECENT_POSTS: usize = 10;
/// Number of the first entries of a list, up to which the list is marked as read.
const MARKED: usize = 30;

/// Users, posts and texts.
impl<'a> Run<'a> {
    pub(super) fn app(&mut self) -> &'a TestApp {
        let index = self.random.random_range(0..2_usize);
        self.apps[index]
    }

    /// A user, in rare cases one whose account was deleted.
    pub(super) fn user(&mut self) -> usize {
        if self.random.random_ratio(1, 30) {
            return self.random.random_range(0..USERS);
        }
        let users: Vec<usize> = self.graph.users.range(..USERS).copied().collect();
        *users.choose(&mut self.random).unwrap()
    }

    /// A viewer and a target for which the change is likely to have an effect.
    fn pair(&mut self, verb: Verb) -> (usize, usize) {
        let graph = &self.graph;
        let effective = match verb {
            // A mute of a followed user changes a timeline.
            Verb::Unfollow | Verb::Mute => graph.follows.all(),
            Verb::RemoveFollower => graph.follows.all_reversed(),
            Verb::Accept | Verb::Reject => graph.requests.all_reversed(),
            Verb::Unblock => graph.blocks.all(),
            Verb::Unmute => graph.mutes.all(),
            Verb::Follow | Verb::Block => vec![],
        };
        if self.random.random_ratio(2, 3)
            && let Some(pair) = effective.choose(&mut self.random)
        {
            return *pair;
        }
        (self.user(), self.user())
    }

    /// A post, which is likely to be one of the author's. `None` if there are no posts.
    fn post(&mut self, author: Option<usize>) -> Option<usize> {
        let own = author.map(|author| self.graph.posts_of(author)).unwrap_or_default();
        if self.random.random_ratio(2, 3)
            && let Some(post) = own.choose(&mut self.random)
        {
            return Some(*post);
        }
        let count = self.graph.posts.len();
        (count > 0).then(|| self.random.random_range(0..count))
    }

    /// A post, which is likely to be a new one, so that there are long conversations.
    fn post_to_reply_to(&mut self) -> Option<usize> {
        let count = self.graph.posts.len();
        let oldest =
            if self.random.random_ratio(2, 3) { count.saturating_sub(RECENT_POSTS) } else { 0 };
        (count > 0).then(|| self.random.random_range(oldest..count))
    }

    /// A text that no other post has. It often names a user.
    fn text(&mut self, kind: &str, n: usize) -> String {
        let [one, other] = [0, 1].map(|_| *WORDS.choose(&mut self.random).unwrap());
        let text = format!("{kind} {n} {one} {other}");
        if self.random.random_ratio(2, 5) { text + " " + &self.names() } else { text }
    }

    /// Names in a text. Some of them are plain text.
    fn names(&mut self) -> String {
        let (one, other) = (name(self.user()), name(self.user()));
        match self.random.random_range(0..6) {
            0 => format!("@{one}"),
            1 => format!("@{}!", one.to_uppercase()),
            2 => format!("(\u{1F426}@{one}), @{other}"),
            3 => format!("@{one} and @{one} @{other}"),
            4 => format!("me@{one} @@{one} @unknown @{other}"),
            _ => format!("@{one}@{other}"),
        }
    }
}

/// Actions.
impl Run<'_> {
    /// An action and its user.
    pub(super) fn action(&mut self, n: usize) -> (usize, Action) {
        let verb = match self.random.random_range(0..100) {
            0..20 => Verb::Follow,
            20..23 => Verb::Unfollow,
            23..25 => Verb::RemoveFollower,
            25..32 => Verb::Accept,
            32..34 => Verb::Reject,
            34..37 => Verb::Block,
            37..40 => Verb::Unblock,
            40..44 => Verb::Mute,
            44..47 => Verb::Unmute,
            _ => return self.other_action(n),
        };
        let (viewer, target) = self.pair(verb);
        (viewer, Action::Change(verb, target))
    }

    /// An action that concerns a post, or no other user.
    fn other_action(&mut self, n: usize) -> (usize, Action) {
        let user = self.user();
        let may_leave = user >= WATCHERS && self.graph.users.len() > MIN_USERS;
        let action = match self.random.random_range(0..84) {
            0..12 => None,
            12..25 => {
                let body = self.text("reply", n);
                self.post_to_reply_to().map(|post| Action::CreatePost(body, Some(post)))
            }
            25..30 => Some(Action::Protect(self.random.random_ratio(1, 2))),
            30..38 => self.edit(user, n),
            38..42 => self.post(Some(user)).map(Action::DeletePost),
            42..46 => self.reaction(user, Reaction::Bookmark),
            46..48 => self.reaction(user, Reaction::Unbookmark),
            48..57 => self.reaction(user, Reaction::Like),
            57..60 => self.reaction(user, Reaction::Unlike),
            60..72 => self.reaction(user, Reaction::Repost),
            72..76 => self.reaction(user, Reaction::Unrepost),
            76..82 => self.mark(user),
            _ => may_leave.then_some(Action::DeleteAccount),
        };
        let create = |run: &mut Self| Action::CreatePost(run.text("post", n), None);
        (user, action.unwrap_or_else(|| create(self)))
    }

    /// An edit, in some cases with the same text.
    fn edit(&mut self, user: usize, n: usize) -> Option<Action> {
        let post = self.post(Some(user))?;
        let is_same = self.random.random_ratio(1, 4);
        let body = if is_same { self.graph.posts[post].body.clone() } else { self.text("edit", n) };
        Some(Action::EditPost(post, body))
    }

    /// A reaction to a post for which it is likely to have an effect.
    fn reaction(&mut self, user: usize, reaction: Reaction) -> Option<Action> {
        let graph = &self.graph;
        let undone = match reaction {
            Reaction::Unbookmark => graph.bookmarks.after(user),
            Reaction::Unlike => graph.likes.after(user),
            Reaction::Unrepost => graph.reposted_by(user),
            Reaction::Bookmark | Reaction::Like | Reaction::Repost => vec![],
        };
        let post = undone.choose(&mut self.random).copied();
        post.or_else(|| self.post(None)).map(|post| Action::React(reaction, post))
    }

    /// A mark, whose id or cursor is read later. `None` if there is nothing to mark.
    fn mark(&mut self, user: usize) -> Option<Action> {
        if !self.graph.users.contains(&user) {
            return None;
        }
        let mut list = match self.random.random_range(0..4) {
            0 => return Some(Action::MarkNotificationsRead(None)),
            1 => self.graph.notices_of(user),
            _ => {
                let mut items = self.graph.timeline(user, Some(user), Filter::ALL);
                items.truncate(MARKED);
                let item = items.choose(&mut self.random)?;
                return Some(Action::MarkTimelineRead(*item, String::new()));
            }
        };
        list.truncate(MARKED);
        let number = list.choose(&mut self.random)?;
        Some(Action::MarkNotificationsRead(Some((*number, String::new()))))
    }
}

/// Reads.
impl<'a> Run<'a> {
    /// A viewer of each kind that exists for a user.
    pub(super) fn readers(&mut self, target: usize) -> Vec<Reader<'a>> {
        let graph = &self.graph;
        let others = |condition: &dyn Fn(usize) -> bool| -> Vec<usize> {
            let others = graph.users.iter().copied().filter(|user| *user != target);
            others.filter(|user| condition(*user)).collect()
        };
        let follows = |user| graph.follows.contains(user, target);
        let is_blocked = |user| graph.blocks.contains(target, user);
        let kinds = [
            ("a stranger", others(&|user| !follows(user) && !is_blocked(user))),
            ("a follower", others(&follows)),
            ("the owner", Vec::from_iter(graph.users.get(&target).copied())),
            ("a blocked user", others(&is_blocked)),
        ];
        let client = self.app().anonymous();
        let mut readers = vec![Reader { kind: "an anonymous client", user: None, client }];
        for (kind, users) in kinds {
            if let Some(user) = users.choose(&mut self.random).copied() {
                let app = self.app();
                let client = self.actors[user].at(app);
                readers.push(Reader { kind, user: Some(user), client });
            }
        }
        readers
    }

    /// A filter of a timeline, in half of the cases the one that shows everything.
    pub(super) fn filter(&mut self) -> Filter {
        if self.random.random_ratio(1, 2) {
            return Filter::ALL;
        }
        let replies = [Replies::All, Replies::ToFollowed, Replies::None];
        Filter {
            include_own: self.random.random_ratio(2, 3),
            replies: *replies.choose(&mut self.random).unwrap(),
            include_reposts: self.random.random_ratio(2, 3),
        }
    }

    /// Queries that find something in most cases.
    pub(super) fn search(&mut self) -> Search {
        let mut terms = vec![self.term()];
        if self.random.random_ratio(1, 3) {
            terms.push(self.term());
        }
        let user = self.user();
        let names = ["user", "user_1", "USER 0", "1", "unknown", &format!("@{}", name(user))];
        let users = (*names.choose(&mut self.random).unwrap()).to_owned();
        Search { posts: Query(terms), author: self.user(), users }
    }

    /// A word, a prefix, or a phrase.
    fn term(&mut self) -> Term {
        let [one, other] = [0, 1].map(|_| *WORDS.choose(&mut self.random).unwrap());
        let user = self.user();
        match self.random.random_range(0..7) {
            0 => Term::new(one, false),
            1 => Term::new("re", true),
            2 => Term::new(&format!("{one} {other}"), false),
            3 => Term::new(&format!("{one} blue"), true),
            4 => Term::new(&format!("@{}", name(user)), false),
            5 => Term::new("edit", false),
            _ => Term::new(&one.to_uppercase(), true),
        }
    }
}
