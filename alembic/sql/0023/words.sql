-- The words of a run: of its label, why it failed, and the values of its inputs (not their names), in that order, so
-- that where there are too many it is those of the inputs that are left out. Bounded, whatever the inputs are. Without a
-- search path of its own, so that it becomes part of the statement that asks: both functions that do have an empty one.
CREATE OR REPLACE FUNCTION opsloom_words(label text, inputs jsonb, reason jsonb) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT left(found.word, 64)
      FROM regexp_split_to_table(lower(left(concat_ws(' ', label, reason ->> 'code', reason ->> 'node',
                                                      left(reason ->> 'message', 2000),
               (SELECT string_agg(left(v #>> '{}', 500), ' ')
                  FROM (SELECT v FROM pg_catalog.jsonb_path_query(inputs, 'strict $.**') AS v LIMIT 2000) AS told
                 WHERE jsonb_typeof(v) IN ('string', 'number'))), 20000)), '[^[:alnum:]]+')
           WITH ORDINALITY AS found (word, place)
     WHERE length(found.word) > 1
     GROUP BY 1
     ORDER BY min(found.place)
     LIMIT 300
$$;
