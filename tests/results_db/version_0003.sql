-- The campaign of version_0002.sql as schema 0003 had it, upgraded by the code of commit f9637ac; never to be written again, only opened.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE attempts (
	campaign_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	worker VARCHAR(200) NOT NULL, 
	started DATETIME NOT NULL, 
	ended DATETIME, 
	seconds DOUBLE, 
	failure_kind VARCHAR(20), 
	failure_message TEXT, 
	provenance JSON NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (campaign_id, number, attempt), 
	CONSTRAINT fk_attempts_trials FOREIGN KEY(campaign_id, number) REFERENCES trials (campaign_id, number), 
	CONSTRAINT ck_attempts_attempt_from_one CHECK (attempt >= 1), 
	CONSTRAINT ck_attempts_ended_with_seconds CHECK ((ended IS NULL) = (seconds IS NULL)), 
	CONSTRAINT ck_attempts_failed_means_ended CHECK (failure_kind IS NULL OR ended IS NOT NULL), 
	CONSTRAINT ck_attempts_failed_with_message CHECK ((failure_kind IS NULL) = (failure_message IS NULL)), 
	CONSTRAINT ck_attempts_seconds_finite CHECK (seconds >= 0 AND seconds < 1e308), 
	CONSTRAINT ck_attempts_failure_kind CHECK (failure_kind IN ('out_of_memory', 'diverged', 'invalid', 'data', 'timeout', 'lost_worker', 'internal'))
);
INSERT INTO "attempts" VALUES(1,1,1,'w','2026-11-22 12:00:03.000000','2026-11-22 12:00:10.000000',7.0,NULL,NULL,'{"device": "cpu"}');
INSERT INTO "attempts" VALUES(1,2,1,'w','2026-11-22 12:00:04.000000','2026-11-22 12:00:12.000000',8.0,'lost_worker','gone','{}');
INSERT INTO "attempts" VALUES(1,3,1,'w','2026-11-22 12:00:05.000000','2026-11-22 12:00:16.000000',11.0,NULL,NULL,'{}');
INSERT INTO "attempts" VALUES(1,4,1,'w','2026-11-22 12:00:06.000000','2026-11-22 12:00:17.000000',11.0,NULL,NULL,'{}');
INSERT INTO "attempts" VALUES(1,5,1,'w','2026-11-22 12:00:07.000000',NULL,NULL,NULL,NULL,'{}');
INSERT INTO "attempts" VALUES(1,6,1,'w','2026-11-22 12:00:08.000000','2026-11-22 12:00:18.000000',10.0,'lost_worker','gone','{}');
INSERT INTO "attempts" VALUES(1,2,2,'w2','2026-11-22 12:00:13.000000','2026-11-22 12:00:14.000000',1.0,'diverged','loss is nan','{}');
CREATE TABLE campaigns (
	id INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	seed BIGINT NOT NULL, 
	config JSON NOT NULL, 
	config_hash VARCHAR(100) NOT NULL, 
	recipe_hash VARCHAR(100) NOT NULL, 
	data_hash VARCHAR(100) NOT NULL, 
	splits_hash VARCHAR(100) NOT NULL, 
	code_version VARCHAR(100) NOT NULL, 
	versions JSON NOT NULL, 
	created DATETIME NOT NULL, 
	token INTEGER NOT NULL, 
	host VARCHAR(255), 
	boot VARCHAR(100), 
	pid INTEGER, 
	process_start VARCHAR(40), 
	beat DATETIME, 
	CONSTRAINT pk_campaigns PRIMARY KEY (id), 
	CONSTRAINT ck_campaigns_seed_from_zero CHECK (seed >= 0), 
	CONSTRAINT ck_campaigns_token_from_zero CHECK (token >= 0), 
	CONSTRAINT ck_campaigns_held_with_boot CHECK ((host IS NULL) = (boot IS NULL)), 
	CONSTRAINT ck_campaigns_held_with_pid CHECK ((host IS NULL) = (pid IS NULL)), 
	CONSTRAINT ck_campaigns_held_with_process_start CHECK ((host IS NULL) = (process_start IS NULL)), 
	CONSTRAINT ck_campaigns_held_with_beat CHECK ((host IS NULL) = (beat IS NULL)), 
	CONSTRAINT uq_campaigns_name UNIQUE (name)
);
INSERT INTO "campaigns" VALUES(1,'stored',5,'{"budget": {"trials": 7}}','c','r','d','s','0.1','{"python": "3.11"}','2026-11-22 12:00:01.000000',1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE metrics (
	campaign_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	step BIGINT NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	value DOUBLE, 
	final BOOLEAN NOT NULL, 
	CONSTRAINT pk_metrics PRIMARY KEY (campaign_id, number, attempt, step, name), 
	CONSTRAINT fk_metrics_attempts FOREIGN KEY(campaign_id, number, attempt) REFERENCES attempts (campaign_id, number, attempt), 
	CONSTRAINT ck_metrics_step_from_zero CHECK (step >= 0), 
	CONSTRAINT ck_metrics_value_finite CHECK (value > -1e308 AND value < 1e308)
);
INSERT INTO "metrics" VALUES(1,1,1,3,'AP',0.1,0);
INSERT INTO "metrics" VALUES(1,1,1,9,'AP',0.125,1);
INSERT INTO "metrics" VALUES(1,1,1,9,'loss',1.5,1);
INSERT INTO "metrics" VALUES(1,2,1,3,'AP',0.05,0);
INSERT INTO "metrics" VALUES(1,2,1,3,'loss',NULL,0);
INSERT INTO "metrics" VALUES(1,3,1,3,'AP',0.01,0);
INSERT INTO "metrics" VALUES(1,4,1,9,'AP',0.1,1);
INSERT INTO "metrics" VALUES(1,4,1,9,'loss',2.0,1);
CREATE TABLE reward_sets (
	campaign_id INTEGER NOT NULL, 
	label VARCHAR(64) NOT NULL, 
	rule JSON NOT NULL, 
	computed DATETIME NOT NULL, 
	CONSTRAINT pk_reward_sets PRIMARY KEY (campaign_id, label), 
	CONSTRAINT ck_reward_sets_labelled CHECK (length(label) >= 1), 
	CONSTRAINT fk_reward_sets_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
);
INSERT INTO "reward_sets" VALUES(1,'by loss','{"kind": "plain", "metric": "loss"}','2026-11-22 12:00:19.000000');
CREATE TABLE rewards (
	campaign_id INTEGER NOT NULL, 
	label VARCHAR(64) NOT NULL, 
	number INTEGER NOT NULL, 
	reward DOUBLE NOT NULL, 
	CONSTRAINT pk_rewards PRIMARY KEY (campaign_id, label, number), 
	CONSTRAINT fk_rewards_reward_sets FOREIGN KEY(campaign_id, label) REFERENCES reward_sets (campaign_id, label), 
	CONSTRAINT fk_rewards_trials FOREIGN KEY(campaign_id, number) REFERENCES trials (campaign_id, number), 
	CONSTRAINT ck_rewards_reward_finite CHECK (reward > -1e308 AND reward < 1e308)
);
INSERT INTO "rewards" VALUES(1,'by loss',1,1.5);
INSERT INTO "rewards" VALUES(1,'by loss',4,2.0);
CREATE TABLE trials (
	campaign_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	genome TEXT NOT NULL, 
	fingerprint VARCHAR(200) NOT NULL, 
	note JSON NOT NULL, 
	seed BIGINT NOT NULL, 
	told INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	proposed DATETIME NOT NULL, 
	started DATETIME NOT NULL, 
	ended DATETIME, 
	finish_order INTEGER, 
	reward DOUBLE, 
	failure_kind VARCHAR(20), 
	failure_message TEXT, 
	CONSTRAINT pk_trials PRIMARY KEY (campaign_id, number), 
	CONSTRAINT uq_trials_campaign_id_finish_order UNIQUE (campaign_id, finish_order), 
	CONSTRAINT ck_trials_number_from_one CHECK (number >= 1), 
	CONSTRAINT ck_trials_attempt_from_one CHECK (attempt >= 1), 
	CONSTRAINT ck_trials_told_from_zero CHECK (told >= 0), 
	CONSTRAINT ck_trials_finish_order_from_one CHECK (finish_order >= 1), 
	CONSTRAINT ck_trials_ended_in_order CHECK ((status IN ('finished', 'stopped', 'failed')) = (finish_order IS NOT NULL)), 
	CONSTRAINT ck_trials_ended_at_a_time CHECK ((status IN ('finished', 'stopped', 'failed')) = (ended IS NOT NULL)), 
	CONSTRAINT ck_trials_finished_with_reward CHECK ((status = 'finished') = (reward IS NOT NULL)), 
	CONSTRAINT ck_trials_failed_with_kind CHECK ((status = 'failed') = (failure_kind IS NOT NULL)), 
	CONSTRAINT ck_trials_failed_with_message CHECK ((failure_kind IS NULL) = (failure_message IS NULL)), 
	CONSTRAINT ck_trials_reward_finite CHECK (reward > -1e308 AND reward < 1e308), 
	CONSTRAINT fk_trials_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id), 
	CONSTRAINT ck_trials_status CHECK (status IN ('proposed', 'running', 'finished', 'stopped', 'failed')), 
	CONSTRAINT ck_trials_failure_kind CHECK (failure_kind IN ('out_of_memory', 'diverged', 'invalid', 'data', 'timeout', 'lost_worker', 'internal'))
);
INSERT INTO "trials" VALUES(1,1,'finished','g1','f1','{"log_probability": -0.25, "parents": [1, 2]}',10,0,1,'2026-11-22 12:00:03.000000','2026-11-22 12:00:03.000000','2026-11-22 12:00:10.000000',1,0.125,NULL,NULL);
INSERT INTO "trials" VALUES(1,2,'failed','g2','f2','{"log_probability": -0.25, "parents": [1, 2]}',20,0,2,'2026-11-22 12:00:04.000000','2026-11-22 12:00:13.000000','2026-11-22 12:00:14.000000',2,NULL,'diverged','loss is nan');
INSERT INTO "trials" VALUES(1,3,'stopped','g3','f3','{"log_probability": -0.25, "parents": [1, 2]}',30,0,1,'2026-11-22 12:00:05.000000','2026-11-22 12:00:05.000000','2026-11-22 12:00:16.000000',3,NULL,NULL,NULL);
INSERT INTO "trials" VALUES(1,4,'finished','g4','f4','{"log_probability": -0.25, "parents": [1, 2]}',40,0,1,'2026-11-22 12:00:06.000000','2026-11-22 12:00:06.000000','2026-11-22 12:00:17.000000',4,0.1,NULL,NULL);
INSERT INTO "trials" VALUES(1,5,'running','g5','f5','{"log_probability": -0.25, "parents": [1, 2]}',50,0,1,'2026-11-22 12:00:07.000000','2026-11-22 12:00:07.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trials" VALUES(1,6,'proposed','g6','f6','{"log_probability": -0.25, "parents": [1, 2]}',60,0,1,'2026-11-22 12:00:08.000000','2026-11-22 12:00:08.000000',NULL,NULL,NULL,NULL,NULL);
CREATE INDEX ix_trials_fingerprint ON trials (fingerprint);
CREATE INDEX ix_trials_campaign_id_status ON trials (campaign_id, status);
CREATE TRIGGER guard_campaign_stays BEFORE UPDATE ON campaigns WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name OR NEW.seed IS NOT OLD.seed OR NEW.created IS NOT OLD.created BEGIN SELECT RAISE(ABORT, 'SpineNAS: the name, seed and birth of a campaign never change'); END;
CREATE TRIGGER guard_token_grows BEFORE UPDATE ON campaigns WHEN NEW.token < OLD.token OR (NEW.pid IS NOT NULL AND NEW.token <= OLD.token AND (NEW.host IS NOT OLD.host OR NEW.boot IS NOT OLD.boot OR NEW.pid IS NOT OLD.pid OR NEW.process_start IS NOT OLD.process_start)) BEGIN SELECT RAISE(ABORT, 'SpineNAS: the token of a campaign only grows, and grows with every driver'); END;
CREATE TRIGGER guard_trial_begins BEFORE INSERT ON trials WHEN (SELECT token FROM campaigns WHERE id = NEW.campaign_id) > 0 AND (NEW.status <> 'running' OR NEW.attempt <> 1 OR NEW.number <> (SELECT coalesce(max(number), 0) FROM trials WHERE campaign_id = NEW.campaign_id) + 1) BEGIN SELECT RAISE(ABORT, 'SpineNAS: a trial begins running its first attempt, with the number after the last one'); END;
CREATE TRIGGER guard_trial_ended BEFORE UPDATE ON trials WHEN OLD.finish_order IS NOT NULL BEGIN SELECT RAISE(ABORT, 'SpineNAS: a trial that has ended never changes'); END;
CREATE TRIGGER guard_trial_stays BEFORE UPDATE ON trials WHEN NEW.campaign_id IS NOT OLD.campaign_id OR NEW.number IS NOT OLD.number OR NEW.genome IS NOT OLD.genome OR NEW.fingerprint IS NOT OLD.fingerprint OR CAST(NEW.note AS TEXT) IS NOT CAST(OLD.note AS TEXT) OR NEW.seed IS NOT OLD.seed OR NEW.told IS NOT OLD.told OR NEW.proposed IS NOT OLD.proposed BEGIN SELECT RAISE(ABORT, 'SpineNAS: what was proposed never changes'); END;
CREATE TRIGGER guard_trial_goes_on BEFORE UPDATE ON trials WHEN NOT (CASE NEW.attempt - OLD.attempt WHEN 1 THEN NEW.status = 'running' WHEN 0 THEN NEW.started = OLD.started AND (NEW.status = OLD.status OR OLD.status = 'running') ELSE 1 = 0 END) BEGIN SELECT RAISE(ABORT, 'SpineNAS: a trial goes from proposed or running to its next attempt, and from running to an end'); END;
CREATE TRIGGER guard_trial_ends_in_order BEFORE UPDATE ON trials WHEN NEW.finish_order IS NOT NULL AND NEW.finish_order <> (SELECT coalesce(max(finish_order), 0) FROM trials WHERE campaign_id = NEW.campaign_id) + 1 BEGIN SELECT RAISE(ABORT, 'SpineNAS: a trial ends with the finish order after the last one'); END;
CREATE TRIGGER guard_trial_leaves_attempt BEFORE UPDATE ON trials WHEN OLD.status = 'running' AND NEW.status <> 'running' AND NOT EXISTS (SELECT 1 FROM attempts WHERE campaign_id = NEW.campaign_id AND number = NEW.number AND attempt = NEW.attempt AND ended IS NOT NULL) BEGIN SELECT RAISE(ABORT, 'SpineNAS: a trial stops running when its attempt has ended'); END;
CREATE TRIGGER guard_attempt_begins BEFORE INSERT ON attempts WHEN (SELECT token FROM campaigns WHERE id = NEW.campaign_id) > 0 AND (NEW.ended IS NOT NULL OR NOT EXISTS (SELECT 1 FROM trials WHERE campaign_id = NEW.campaign_id AND number = NEW.number AND attempt = NEW.attempt AND status = 'running') OR EXISTS (SELECT 1 FROM attempts WHERE campaign_id = NEW.campaign_id AND number = NEW.number AND attempt = NEW.attempt)) BEGIN SELECT RAISE(ABORT, 'SpineNAS: an attempt begins once, as the one that its trial is at'); END;
CREATE TRIGGER guard_attempt_ended BEFORE UPDATE ON attempts WHEN OLD.ended IS NOT NULL OR NOT EXISTS (SELECT 1 FROM trials WHERE campaign_id = NEW.campaign_id AND number = NEW.number AND attempt = NEW.attempt AND status = 'running') BEGIN SELECT RAISE(ABORT, 'SpineNAS: an attempt that has ended, or was left behind, never changes'); END;
CREATE TRIGGER guard_attempt_stays BEFORE UPDATE ON attempts WHEN NEW.campaign_id IS NOT OLD.campaign_id OR NEW.number IS NOT OLD.number OR NEW.attempt IS NOT OLD.attempt OR NEW.worker IS NOT OLD.worker OR NEW.started IS NOT OLD.started BEGIN SELECT RAISE(ABORT, 'SpineNAS: who began an attempt, and when, never changes'); END;
CREATE TRIGGER guard_metric_comes BEFORE INSERT ON metrics WHEN (SELECT token FROM campaigns WHERE id = NEW.campaign_id) > 0 AND NOT EXISTS (SELECT 1 FROM trials WHERE campaign_id = NEW.campaign_id AND number = NEW.number AND attempt = NEW.attempt AND status = 'running') BEGIN SELECT RAISE(ABORT, 'SpineNAS: only what runs is measured'); END;
CREATE TRIGGER guard_metric_stays BEFORE UPDATE ON metrics WHEN OLD.final OR NOT EXISTS (SELECT 1 FROM trials WHERE campaign_id = NEW.campaign_id AND number = NEW.number AND attempt = NEW.attempt AND status = 'running') OR NEW.campaign_id IS NOT OLD.campaign_id OR NEW.number IS NOT OLD.number OR NEW.attempt IS NOT OLD.attempt OR NEW.step IS NOT OLD.step OR NEW.name IS NOT OLD.name BEGIN SELECT RAISE(ABORT, 'SpineNAS: what was measured never changes'); END;
CREATE TRIGGER guard_campaigns_kept BEFORE DELETE ON campaigns WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'SpineNAS: campaigns are never deleted'); END;
CREATE TRIGGER guard_trials_kept BEFORE DELETE ON trials WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'SpineNAS: trials are never deleted'); END;
CREATE TRIGGER guard_attempts_kept BEFORE DELETE ON attempts WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'SpineNAS: attempts are never deleted'); END;
CREATE TRIGGER guard_metrics_kept BEFORE DELETE ON metrics WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'SpineNAS: metrics are never deleted'); END;
COMMIT;
