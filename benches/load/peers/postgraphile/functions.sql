-- The timeline as a field of User. server.mjs replaces :schema and :statement.
DROP SCHEMA IF EXISTS :schema CASCADE;
CREATE SCHEMA :schema;

-- The timeline statement of all peers. It is not exposed in the GraphQL schema.
CREATE FUNCTION :schema.entries(owners bigint[], before bigint, after bigint, size bigint)
RETURNS TABLE (owner bigint, id bigint, author_id bigint, body text, created_at timestamptz, edited_at timestamptz)
LANGUAGE sql STABLE AS $function$
:statement
$function$;
COMMENT ON FUNCTION :schema.entries IS '@behavior -*';

-- PostgreSQL inlines both functions, so one statement is planned, once.
CREATE FUNCTION :schema.timeline("user" public."user", size int) RETURNS SETOF public.post
LANGUAGE sql STABLE AS $function$
  SELECT id, author_id, body, created_at, edited_at
  FROM :schema.entries(ARRAY["user".id], 9223372036854775807, 0, size) ORDER BY id DESC
$function$;
COMMENT ON FUNCTION :schema.timeline IS '@behavior typeField -queryField';
