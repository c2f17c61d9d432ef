using RenderTrust.Ledger;

await LedgerApp.Build(args).RunAsync();
