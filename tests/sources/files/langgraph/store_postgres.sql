CREATE TABLE public.store (
    prefix text NOT NULL,
    key text NOT NULL,
    value jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP,
    expires_at timestamp with time zone,
    ttl_minutes integer
);
CREATE TABLE public.store_migrations (
    v integer NOT NULL
);
COPY public.store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes) FROM stdin;
users.ada	likes	{"drink": "tea", "level": 1.5}	2026-11-28 06:17:21.623043+00	2026-11-28 06:17:21.623043+00	\N	\N
users.ada	name	{"value": "Ada"}	2026-11-28 06:17:21.623892+00	2026-11-28 06:17:21.623892+00	\N	\N
team	plan	{"steps": [1, 2]}	2026-11-28 06:17:21.626831+00	2026-11-28 06:17:21.626831+00	\N	\N
\.
COPY public.store_migrations (v) FROM stdin;
0
1
2
3
\.
ALTER TABLE ONLY public.store_migrations
    ADD CONSTRAINT store_migrations_pkey PRIMARY KEY (v);
ALTER TABLE ONLY public.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (prefix, key);
CREATE INDEX idx_store_expires_at ON public.store USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX store_prefix_idx ON public.store USING btree (prefix text_pattern_ops);
