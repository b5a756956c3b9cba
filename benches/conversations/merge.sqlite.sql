-- The first page of a timeline by a k-way merge of posts, without reposts and authors: the
-- statement of timelines before there were reposts. The rows are not ordered.
WITH probe (author, newest) AS MATERIALIZED (
  SELECT :owner, (SELECT max(id) FROM post WHERE author_id = :owner)
  UNION ALL SELECT followed_id, (SELECT max(id) FROM post WHERE author_id = followed_id)
  FROM follow WHERE follower_id = :owner),
head (author, bound) AS (
  SELECT author, CASE WHEN count(newest) OVER () = 20 THEN min(newest) OVER () ELSE 0 END
  FROM (SELECT * FROM probe ORDER BY newest DESC NULLS LAST LIMIT 20) AS nearest)
SELECT post.* FROM post WHERE id IN (
  SELECT page.id FROM head CROSS JOIN post AS page
  WHERE page.author_id = head.author AND page.id IN (
    SELECT id FROM post WHERE author_id = head.author AND id >= head.bound
    ORDER BY id DESC LIMIT 20)
  ORDER BY page.id DESC LIMIT 20)
