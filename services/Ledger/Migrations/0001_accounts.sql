-- Who owns what. Amounts are micro-units of the currency (micro-credits, micro-dollars).
CREATE TABLE accounts (
    account text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('creator', 'earnings_pending', 'earnings', 'platform', 'issuance')),
    tenant_id uuid,
    currency text NOT NULL DEFAULT 'CREDIT' CHECK (currency IN ('CREDIT', 'USD')),
    -- Kept by the trigger on ledger_entries for accounts of tenants. Platform and issuance stay 0 here: they are hot,
    -- and a row that every job updates would cost more than the whole dispatch budget; account_balances sums them.
    posted_balance bigint NOT NULL DEFAULT 0,
    -- Open holds, and captures that are not posted yet. Available = posted_balance - held.
    held bigint NOT NULL DEFAULT 0,
    blocked boolean NOT NULL DEFAULT false,
    opened_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account, currency),
    CHECK (held >= 0),
    CHECK (posted_balance >= held),
    CHECK ((kind IN ('platform', 'issuance')) = (tenant_id IS NULL)),
    CHECK (held = 0 OR kind = 'creator')
);
CREATE INDEX accounts_by_tenant ON accounts (tenant_id, kind);

INSERT INTO accounts (account, kind) VALUES ('platform:revenue', 'platform'), ('issuance:development', 'issuance');

CREATE FUNCTION open_account(p_kind text, p_tenant_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE name text := p_kind || ':' || p_tenant_id;
BEGIN
    INSERT INTO accounts (account, kind, tenant_id) VALUES (name, p_kind, p_tenant_id) ON CONFLICT (account) DO NOTHING;
    RETURN name;
END $$;
