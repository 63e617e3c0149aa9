-- since 12
-- Beside features.sql: the values at the edges of every type that is built in. A text cannot hold a NUL; a bytea can.
CREATE TABLE integers (s smallint, i integer, b bigint, o oid);
INSERT INTO integers VALUES (-32768, -2147483648, -9223372036854775808, 0), (32767, 2147483647, 9223372036854775807, 4294967295),
    (0, 0, 0, 1), (NULL, NULL, NULL, NULL);
CREATE TABLE numbers (r real, d double precision, n numeric, p numeric(1000, 500), m money);
INSERT INTO numbers VALUES ('NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08'), ('Infinity', '-Infinity', ('1' || repeat('0', 1000))::numeric, 1, '92233720368547758.07'),
    ('-0', '-0', -0.000, 0, 0), ('1e-45', '5e-324', 1e-1000, 1e-500, '0.01'), ('3.4028235e38', '1.7976931348623157e308', -123456789012345678901234567890.12, NULL, NULL),
    (0.1, 0.1, 0.10, 0.1, -0.01), (1.17549435e-38, 2.2250738585072014e-308, 1.000000000000000000, -1, NULL);
CREATE TABLE times (d date, t time, z time with time zone, s timestamp, x timestamp with time zone, i interval, f timestamp(0), y interval year to month);
INSERT INTO times VALUES ('infinity', '24:00:00', '24:00:00-15:59', 'infinity', '-infinity', '178000000 years', '1999-12-31 23:59:59.5', '1 year'),
    ('-infinity', '00:00:00', '00:00:00+15:59', '-infinity', 'infinity', '-178000000 years', 'epoch', '-1 month'),
    ('4714-11-24 BC', '23:59:59.999999', '12:00:00.000001+05:30:15', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC', '1 mon -1 day 00:00:00.000001', NULL, NULL),
    ('5874897-12-31', NULL, NULL, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '-1 mon +1 day -00:00:01', NULL, NULL),
    ('0001-01-01 BC', '12:34:56', NULL, '0001-12-31 23:59:59 BC', '1883-11-18 12:00:00-04:56:02', '0', NULL, NULL), ('2024-02-29', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE texts (t text, v varchar(3), c char(5), n name, k "char");
INSERT INTO texts VALUES ('', '', '', '', ''), (NULL, NULL, NULL, NULL, NULL), ('\', '\.', '\n', '\N', '\'), (E'\b\f\n\r\t\x0b', E'\r\n', E' \t', 'NULL', 'x'),
    ('\\', '"', '''', '{}', NULL), (E'\x01\x02\x1f\x7f', '  a', 'a  ', repeat('n', 63), ' '), (E'\u00a0\u2028\ufeff\U0010ffff', E'e\u0301', 'é', 'ß', NULL),
    (E'a\\.\n\\.\nb', E'\n\\.', E'\\.\n', E'\\.', '.'), (repeat('\', 1000000), NULL, NULL, NULL, NULL), ('NULL', 'nul', NULL, NULL, NULL);
-- What does not compress: it is kept apart from its row.
INSERT INTO texts (t) SELECT string_agg(md5(i::text), '' ORDER BY i) FROM generate_series(1, 10000) i;
CREATE TABLE bytes (b bytea, u uuid, f bit(64), v bit varying);
INSERT INTO bytes VALUES ('\x', '00000000-0000-0000-0000-000000000000', repeat('0', 64)::bit(64), ''), ('\x00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', repeat('1', 64)::bit(64), B'1'),
    ('\x5c2e0a5c4e00', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', NULL, repeat('10', 1000)::varbit), (decode(repeat('00ff0a5c', 100000), 'hex'), NULL, NULL, NULL),
    ((SELECT decode(string_agg(lpad(to_hex(i), 2, '0'), '' ORDER BY i), 'hex') FROM generate_series(0, 255) i), NULL, NULL, NULL), (NULL, NULL, NULL, NULL);
CREATE TABLE documents (j json, b jsonb, p jsonpath, x xml, v tsvector, q tsquery);
INSERT INTO documents VALUES ('{"a":1,  "a" : 2}', '{"a": [null, true, 1e400, "\\.", "\u001f", "\""], "": {}}', '$."a b"[*] ? (@ > 1 && @ like_regex "^\\\\.")', '<a b="&lt;">\.</a>', '''a\\b'':1A,2B ''it''''s'':3 x', '!a & (b:AB | ''c d'':*) <-> e'),
    ('null', 'null', '$', '', '', ''), ('" \\u0000 "', '""', 'strict $', '<?xml version="1.0"?><!-- \. --><t><![CDATA[<\]]></t>', 'a:16383', NULL), ('"\u0000"', '-0.00', 'lax $.* ? (exists (@."x"))', 'text and <i/> more', NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE networks (i inet, c cidr, m macaddr, e macaddr8);
INSERT INTO networks VALUES ('0.0.0.0/0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00'), ('255.255.255.255', '255.255.255.255/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff'),
    ('::ffff:1.2.3.4/128', '2001:db8::/32', '08002b:010203', '08:00:2b:01:02:03'), ('10.1.2.3/8', '::/0', NULL, NULL), (NULL, NULL, NULL, NULL);
CREATE TABLE shapes (p point, l line, s lseg, b box, h path, g polygon, c circle);
INSERT INTO shapes VALUES ('(0,-0)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),1>'),
    ('(Infinity,NaN)', '{0,1,1e300}', '[(-1e308,5e-324),(0.1,0.2)]', '(Infinity,1),(-Infinity,0)', '((0,0))', '((NaN,0))', '<(1e-300,-1),0>'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE spans (i int4range, b int8range, n numrange, t tsrange, z tstzrange, d daterange);
INSERT INTO spans VALUES ('empty', 'empty', 'empty', 'empty', 'empty', 'empty'), ('(,)', '[-9223372036854775808,0]', '(,1.50]', '[-infinity,infinity]', '(,"2000-01-01 00:00:00+00")', '[2000-01-01,infinity)'), (NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE arrays (i integer[], t text[], d date[][], c pair[], m mood[], p "positive"[], e text[]);
INSERT INTO arrays VALUES ('[-1:1]={1,NULL,3}', ARRAY['', NULL, 'NULL', '\', '"', '{', ',', ' x ', E'\\.\n'], '{{infinity,-infinity},{2000-01-01,NULL}}', ARRAY[ROW(1, 'a,"b\')::pair, NULL, ROW(NULL, '')::pair], '{sad,it''s ok,NULL}', '{1,NULL}', '{}'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE inside (r regclass, p regprocedure, t regtype, c xid, l pg_lsn, s txid_snapshot, n oidvector, i int2vector, d tid);
INSERT INTO inside VALUES ('integers', 'length(text)', 'double precision', '4294967295', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '1 2 3', '-1 0', '(4294967295,65535)');

-- Names.
CREATE SCHEMA "SELECT";
CREATE SCHEMA "a.b; -- ""c""
d";
CREATE TABLE "SELECT"."table" ("order" integer, "from
where" text DEFAULT E'\n', " a" text, "Ünï🐘" integer, "a""b\c" integer, CONSTRAINT "it's; /*" CHECK (" a" <> '-- /*'));
INSERT INTO "SELECT"."table" VALUES (1, DEFAULT, '', 2, 3);
CREATE VIEW "a.b; -- ""c""
d"."view;" AS SELECT "order", "a""b\c" AS "*/" FROM "SELECT"."table";

-- Inheritance and partitions.
CREATE TABLE animal (id integer PRIMARY KEY, name text NOT NULL DEFAULT 'x', CHECK (name <> ''), CONSTRAINT own CHECK (id > 0) NO INHERIT);
CREATE TABLE owned (owner text);
CREATE TABLE pet (name text DEFAULT 'y', age integer) INHERITS (animal, owned);
ALTER TABLE pet ADD PRIMARY KEY (id);
CREATE TABLE puppy () INHERITS (pet);
INSERT INTO animal VALUES (1, 'a');
INSERT INTO pet (id, owner) VALUES (-2, 'o');
INSERT INTO puppy VALUES (3, 'p', NULL, 1);
CREATE TABLE events (at date, kind text, n integer DEFAULT 1, gone integer, PRIMARY KEY (at, kind)) PARTITION BY RANGE (at);
ALTER TABLE events DROP COLUMN gone;
CREATE TABLE events_old PARTITION OF events (n DEFAULT 2, CHECK (n > 0)) FOR VALUES FROM (MINVALUE) TO ('2000-01-01') PARTITION BY LIST (kind);
CREATE TABLE events_old_a PARTITION OF events_old FOR VALUES IN ('a', 'it''s', E'\\');
CREATE TABLE events_old_rest PARTITION OF events_old DEFAULT;
CREATE TABLE "events; new" (kind text NOT NULL, extra integer, n integer, at date NOT NULL);
ALTER TABLE "events; new" DROP COLUMN extra;
ALTER TABLE events ATTACH PARTITION "events; new" FOR VALUES FROM ('2000-01-01') TO (MAXVALUE);
INSERT INTO events VALUES ('0044-03-15 BC', 'a', 1), ('1999-12-31', E'\\', 7), ('1999-12-30', '', NULL), ('2000-01-01', 'b', 3), ('infinity', 'c', 1);
CREATE INDEX events_n ON ONLY events (n DESC NULLS LAST);
CREATE INDEX events_n_new ON "events; new" (n DESC NULLS LAST);
ALTER INDEX events_n ATTACH PARTITION events_n_new;
CREATE TABLE refers (at date, kind text, FOREIGN KEY (at, kind) REFERENCES events ON DELETE CASCADE ON UPDATE SET NULL) PARTITION BY HASH (at);
CREATE TABLE refers_0 PARTITION OF refers FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE refers_1 PARTITION OF refers FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO refers SELECT at, kind FROM events;
CREATE TABLE by_expression (t text) PARTITION BY RANGE (lower(t) COLLATE "C", (length(t)));
CREATE TABLE by_expression_1 PARTITION OF by_expression FOR VALUES FROM ('a', 1) TO ('z', MAXVALUE);
INSERT INTO by_expression VALUES ('B');

-- Identity, generated columns, sequences.
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE identities (a bigint GENERATED BY DEFAULT AS IDENTITY (MINVALUE -10 MAXVALUE -1 INCREMENT BY -1 START -2 CACHE 5 CYCLE), b integer,
    c integer GENERATED ALWAYS AS (twice(b)) STORED, d text GENERATED ALWAYS AS (CASE WHEN b IS NULL THEN E'\\.\n' END) STORED, e smallserial, f bigserial UNIQUE);
INSERT INTO identities (a, b) OVERRIDING USER VALUE VALUES (5, NULL);
INSERT INTO identities (a, b) VALUES (-9, 1), (DEFAULT, 21);
CREATE SEQUENCE top AS bigint MAXVALUE 9223372036854775807 CACHE 10;
SELECT setval('top', 9223372036854775807);
CREATE SEQUENCE uncalled AS smallint MINVALUE -32768 START -32768 OWNED BY integers.s;
SELECT setval('uncalled', -5, false);

-- Types.
CREATE DOMAIN short AS varchar(5) COLLATE "C" NOT NULL DEFAULT '' CHECK (VALUE !~ '\\');
CREATE DOMAIN shorter AS short CONSTRAINT "less;" CHECK (length(VALUE) < 3);
CREATE DOMAIN list AS integer[] CHECK (cardinality(VALUE) < 4);
CREATE TYPE deep AS (p pair, l list, m mood[], s span);
CREATE TYPE "Mixed Case" AS ENUM ('', ' ', 'a,b', '"', 'é', '{}');
CREATE TYPE nothing AS ();
CREATE TYPE words_between AS RANGE (subtype = text, collation = "C");
CREATE TYPE unfinished;
CREATE COLLATION "C dot" (locale = 'C.UTF-8');
CREATE TABLE typed (s short, t shorter, l list, d deep, e "Mixed Case", es "Mixed Case"[], w words_between, c text COLLATE "C dot", a animal);
INSERT INTO typed VALUES ('abc', 'x', '{1,NULL}', ROW(ROW(NULL, '\"')::pair, '{}', '{sad}', '[1,)'), '', '{"","\"",NULL,"a,b"}', '[a,"b)")', 'c', ROW(1, E'\n\\.')::animal);
CREATE TABLE of_type OF pair (PRIMARY KEY (a), "b b" WITH OPTIONS DEFAULT 'd');

-- Constraints, indexes, options.
CREATE TABLE constrained (id integer CONSTRAINT "pk;" PRIMARY KEY DEFERRABLE, a integer NOT NULL, b text, r int4range, UNIQUE (a, b) INCLUDE (r),
    CONSTRAINT overlap EXCLUDE USING gist (r WITH &&) WHERE (a > 0) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO constrained VALUES (1, -1, NULL, '[1,5)'), (2, 2, 'x', '[5,9)');
ALTER TABLE constrained ADD CONSTRAINT late CHECK (a > 0) NOT VALID, ADD FOREIGN KEY (a) REFERENCES animal NOT VALID;
CREATE TABLE egg (id integer PRIMARY KEY, of integer);
CREATE TABLE hen (id integer PRIMARY KEY, of integer REFERENCES egg);
INSERT INTO egg VALUES (1, 2);
INSERT INTO hen VALUES (2, 1);
ALTER TABLE egg ADD FOREIGN KEY (of) REFERENCES hen DEFERRABLE;
CREATE INDEX "odd; index" ON constrained USING btree ((b || '\;'), b COLLATE "C" text_pattern_ops DESC) INCLUDE (id) WITH (fillfactor = 50) WHERE b IS NOT NULL;
CREATE INDEX ON constrained USING hash (b);
CREATE INDEX ON constrained USING brin (id) WITH (pages_per_range = 7);
CREATE INDEX ON documents USING gin (b jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX ON shapes USING spgist (g);
ALTER INDEX "odd; index" ALTER COLUMN 1 SET STATISTICS 77;
CREATE UNLOGGED TABLE unlogged (a integer NOT NULL UNIQUE, b text) WITH (fillfactor = 33, autovacuum_enabled = off, toast.autovacuum_enabled = off);
INSERT INTO unlogged VALUES (1, 'kept');
ALTER TABLE unlogged ALTER b SET STORAGE EXTERNAL, ALTER b SET STATISTICS 1000, ALTER a SET (n_distinct = -0.5), REPLICA IDENTITY USING INDEX unlogged_a_key;
ALTER TABLE unlogged CLUSTER ON unlogged_a_key;
CREATE STATISTICS "more;" (ndistinct, mcv) ON a, b FROM constrained;

-- Views, rules, triggers, functions.
CREATE VIEW grouped AS SELECT animal.id, animal.name, count(*) AS n FROM animal JOIN pet USING (name) GROUP BY animal.id;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, name FROM animal WHERE id > 0 WITH LOCAL CHECK OPTION;
ALTER VIEW barrier ALTER COLUMN name SET DEFAULT 'v';
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 3;
CREATE MATERIALIZED VIEW unfilled AS SELECT * FROM grouped WITH NO DATA;
CREATE UNIQUE INDEX ON unfilled (id);
CREATE MATERIALIZED VIEW upon AS SELECT n FROM counting ORDER BY n;
CREATE VIEW circle_of AS SELECT 1 AS a;
CREATE FUNCTION of_circle() RETURNS SETOF circle_of LANGUAGE sql AS 'SELECT * FROM public.circle_of';
CREATE OR REPLACE VIEW circle_of AS SELECT a FROM of_circle() LIMIT 1;
CREATE RULE nothing_new AS ON UPDATE TO animal WHERE OLD.name = ';' DO ALSO (INSERT INTO log VALUES (';'); DELETE FROM pet WHERE pet.id = NEW.id);
ALTER TABLE animal DISABLE RULE nothing_new;
CREATE FUNCTION copies() RETURNS text LANGUAGE plpgsql SECURITY DEFINER STRICT COST 7 SET search_path = public, pg_temp SET work_mem = '1MB' AS $body$
DECLARE t text := $q$
COPY public.one (c) FROM stdin;
\.
$q$;
BEGIN
    -- \connect other
/*
COPY public.one (c) FROM stdin;
a	\N
\.
\echo no
*/
    RETURN t || $$;$$ || '\';
END $body$;
CREATE FUNCTION many_ways(IN a integer, INOUT b text DEFAULT E'''\\;', OUT c integer, VARIADIC d text[] DEFAULT '{"\\"}') LANGUAGE sql STABLE LEAKPROOF PARALLEL SAFE AS $$SELECT b, a$$;
CREATE FUNCTION as_table(n integer) RETURNS TABLE (a integer, "b;" text) LANGUAGE sql ROWS 3 AS 'SELECT i, ''\.'' FROM generate_series(1, n) i';
CREATE FUNCTION with_default(d date DEFAULT 'today'::text::date) RETURNS date LANGUAGE sql AS 'SELECT d';
CREATE PROCEDURE proceeds(INOUT a integer) LANGUAGE plpgsql AS $$BEGIN COMMIT; a := 1; END$$;
CREATE FUNCTION appended(text[], text) RETURNS text[] LANGUAGE sql AS 'SELECT $1 || $2';
CREATE AGGREGATE concatenated (text) (sfunc = appended, stype = text[], initcond = '{"\\"}', finalfunc = cardinality, parallel = restricted);
CREATE FUNCTION minded() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER statements AFTER UPDATE ON constrained REFERENCING OLD TABLE AS before NEW TABLE AS "after;" FOR EACH STATEMENT EXECUTE FUNCTION minded('a', E'\\', 'it''s');
CREATE CONSTRAINT TRIGGER at_last AFTER INSERT ON constrained DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION minded();
CREATE TRIGGER instead INSTEAD OF INSERT ON grouped FOR EACH ROW EXECUTE FUNCTION minded();
CREATE TRIGGER columns BEFORE UPDATE OF a, b ON constrained FOR EACH ROW EXECUTE FUNCTION minded();
CREATE TRIGGER rows AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION minded();
-- Whoever fires it while a copy is filled loses the row.
CREATE TRIGGER loses BEFORE INSERT ON animal FOR EACH ROW EXECUTE FUNCTION minded();
ALTER TABLE constrained DISABLE TRIGGER columns;
ALTER TABLE animal ENABLE ALWAYS TRIGGER loses;
ALTER TABLE animal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY none ON animal AS RESTRICTIVE FOR UPDATE USING (false) WITH CHECK (name <> E'\\');
CREATE FUNCTION also_watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER dropping ON sql_drop EXECUTE FUNCTION also_watched();
ALTER EVENT TRIGGER dropping ENABLE REPLICA;
CREATE EVENT TRIGGER rewriting ON table_rewrite EXECUTE FUNCTION also_watched();
ALTER EVENT TRIGGER rewriting DISABLE;

-- Extensions, and what lies elsewhere.
CREATE SCHEMA extended;
CREATE EXTENSION hstore SCHEMA extended;
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
CREATE EXTENSION ltree;
CREATE EXTENSION cube;
CREATE EXTENSION intarray;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION unaccent;
CREATE EXTENSION tablefunc;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
COMMENT ON EXTENSION citext IS 'mine;';
CREATE TABLE extensive (h extended.hstore, c citext UNIQUE, l ltree, q cube, s text, i integer[], EXCLUDE USING gist (s WITH =, q WITH &&));
INSERT INTO extensive VALUES ('a=>NULL, "\\"=>"\"", ""=>""', 'Ab\.', 'a.b.C', '(1,2),(3,4)', '', '{3,1}');
CREATE INDEX ON extensive USING gin (s gin_trgm_ops, i gin__int_ops);
CREATE INDEX ON extensive USING gist (l);
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE filed (a integer, b text OPTIONS (force_not_null 'true')) SERVER files OPTIONS (filename '/dev/null', format 'csv', delimiter ';', escape E'\\');
CREATE SERVER other_postgres TYPE 't' VERSION '1''' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/no;where', dbname 'a "b\');
CREATE USER MAPPING FOR PUBLIC SERVER other_postgres OPTIONS (user 'u', password E'it''s \\ %');
CREATE FOREIGN TABLE remote (a integer OPTIONS (column_name 'A;') NOT NULL, CHECK (a > 0)) INHERITS (owned) SERVER other_postgres OPTIONS (table_name 'T "x"');
CREATE PUBLICATION all_of_it FOR ALL TABLES WITH (publish = 'insert, truncate');
CREATE PUBLICATION none_of_it;

-- Rights and comments. Default privileges come last: they would change those of an extension's functions, of which newer versions have more.
GRANT SELECT (id, name), UPDATE (name) ON animal TO "Load Owner";
GRANT USAGE ON SCHEMA "SELECT", "a.b; -- ""c""
d" TO PUBLIC;
REVOKE ALL ON FUNCTION copies() FROM PUBLIC;
REVOKE ALL ON TYPE deep FROM PUBLIC;
GRANT USAGE ON SEQUENCE top TO "Load Owner" WITH GRANT OPTION;
GRANT SELECT, UPDATE ON LARGE OBJECT 4242 TO "Load Owner";
GRANT USAGE ON FOREIGN SERVER "far; away" TO PUBLIC;
REVOKE ALL ON SEQUENCE uncalled FROM CURRENT_USER;
ALTER DEFAULT PRIVILEGES IN SCHEMA "SELECT" GRANT EXECUTE ON FUNCTIONS TO "Load Owner";
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE "Load Owner" IN SCHEMA public GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER SCHEMA "SELECT" OWNER TO "Load Owner";
ALTER LARGE OBJECT 4243 OWNER TO "Load Owner";
ALTER TYPE deep OWNER TO "Load Owner";
COMMENT ON COLUMN "SELECT"."table"."a""b\c" IS E'\\.\nCOPY x FROM stdin;\n';
COMMENT ON SCHEMA "SELECT" IS '''';
COMMENT ON INDEX "odd; index" IS 'i;';
COMMENT ON CONSTRAINT "pk;" ON constrained IS 'c;''';
COMMENT ON DOMAIN short IS E'\t';
COMMENT ON POLICY none ON animal IS 'p';
COMMENT ON EVENT TRIGGER dropping IS '$$';
COMMENT ON STATISTICS "more;" IS 's';
COMMENT ON TYPE unfinished IS 'shell';

-- As many columns as there can be, all of them full.
DO $$BEGIN
    EXECUTE 'CREATE TABLE widest (' || (SELECT string_agg('c' || i || ' smallint', ', ') FROM generate_series(1, 1600) i) || ')';
    EXECUTE 'INSERT INTO widest SELECT ' || (SELECT string_agg((i - 800)::text, ', ') FROM generate_series(1, 1600) i) || ' FROM generate_series(1, 3)';
END$$;
CREATE TABLE no_columns_but_rows ();
INSERT INTO no_columns_but_rows DEFAULT VALUES;
INSERT INTO no_columns_but_rows DEFAULT VALUES;

-- since 13
CREATE TRIGGER before_rows BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION minded();
CREATE PUBLICATION through_root FOR TABLE events WITH (publish_via_partition_root = true);
CREATE INDEX ON many (v) WITH (deduplicate_items = off);
ALTER STATISTICS "more;" SET STATISTICS 5;

-- since 14
INSERT INTO numbers (n) VALUES ('Infinity'), ('-Infinity');
CREATE TABLE multi (m int4multirange, n nummultirange, s span_multirange);
INSERT INTO multi VALUES ('{}', '{(,1.5],[2,)}', '{[1,2),[3,4)}'), ('{(,)}', NULL, NULL);
CREATE TYPE named AS RANGE (subtype = int2, multirange_type_name = "many; named");
ALTER TABLE texts ALTER t SET COMPRESSION pglz;
CREATE STATISTICS of_expressions ON (a + 1), lower(b) FROM constrained;
CREATE PROCEDURE gives(IN a integer, OUT b text) LANGUAGE sql BEGIN ATOMIC SELECT 'x;' || a; END;
CREATE FUNCTION earlier() RETURNS integer LANGUAGE sql RETURN (SELECT count(*)::integer FROM one WHERE c = E'\\.\n');

-- since 15
CREATE TABLE indistinct (a integer, b integer, c integer, UNIQUE NULLS NOT DISTINCT (a, b));
INSERT INTO indistinct VALUES (NULL, 1, 2);
CREATE TABLE set_null (a integer, b integer, FOREIGN KEY (a, b) REFERENCES indistinct (a, b) ON DELETE SET NULL (b));
CREATE TABLE scaled (a numeric(3, -2), b numeric(2, 5));
INSERT INTO scaled VALUES (99900, 0.00099), ('NaN', NULL);
CREATE VIEW invoked WITH (security_invoker = true) AS SELECT * FROM one;
CREATE PUBLICATION partly FOR TABLE constrained (id, a) WHERE (id > 0 AND id <> 7);
CREATE PUBLICATION schemas FOR TABLES IN SCHEMA "SELECT";

-- since 16
CREATE TABLE kept_out (t text STORAGE EXTERNAL, x xml);
INSERT INTO kept_out VALUES (repeat('x', 10000), '<a/>');
CREATE STATISTICS ON a, c FROM indistinct;
CREATE VIEW literals AS SELECT 0x7fff_ffff AS h, '{"a": 1}' IS JSON OBJECT AS j, 1_000 AS n;

-- since 17
INSERT INTO times (i) VALUES ('infinity'), ('-infinity');
CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY, k integer) PARTITION BY LIST (k);
CREATE TABLE numbered_1 PARTITION OF numbered FOR VALUES IN (1);
INSERT INTO numbered (k) VALUES (1), (1);
CREATE COLLATION built_in (provider = builtin, locale = 'C.UTF-8');
CREATE VIEW shown AS SELECT * FROM json_table('[{"a": 1}]'::jsonb, '$[*]' COLUMNS (a integer PATH '$.a' DEFAULT 0 ON EMPTY));
GRANT MAINTAIN ON one TO "Load Owner";
-- A dump of an older server cannot take away what only this one knows.
REVOKE ALL ON TABLE owned FROM CURRENT_USER;

-- since 18
CREATE TABLE virtual (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, c integer GENERATED ALWAYS AS (a + 1));
INSERT INTO virtual (a) VALUES (21), (NULL);
CREATE TABLE periods (id integer, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
INSERT INTO periods VALUES (1, '[2000-01-01,2001-01-01)'), (1, '[2001-01-01,)');
CREATE TABLE within (id integer, during daterange, FOREIGN KEY (id, PERIOD during) REFERENCES periods (id, PERIOD during));
CREATE TABLE not_nulls (a integer CONSTRAINT "never;" NOT NULL NO INHERIT, b integer);
INSERT INTO not_nulls VALUES (1, NULL);
ALTER TABLE not_nulls ADD CONSTRAINT later NOT NULL b NOT VALID, ADD CONSTRAINT unwatched CHECK (b > 0) NOT ENFORCED;
CREATE TABLE aloof (id integer REFERENCES animal NOT ENFORCED);
