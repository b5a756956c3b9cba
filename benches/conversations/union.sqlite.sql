-- The first page of a timeline in the form of tutorials, without reposts and authors: posts of
-- followed users by a join, own posts by a union, then a sort.
SELECT post.* FROM post JOIN follow ON follow.followed_id = post.author_id
WHERE follow.follower_id = :owner
UNION
SELECT post.* FROM post WHERE author_id = :owner
ORDER BY id DESC LIMIT 20
