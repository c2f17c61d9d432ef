using RenderTrust.Contracts;
using RenderTrust.Ledger.Books;
using RenderTrust.Ledger.Credits;
using RenderTrust.Ledger.Earnings;
using RenderTrust.Ledger.Holds;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger;

/// <summary>Every route of the service with its policy. A test reads this table through the endpoints and refuses one without.</summary>
internal static class Routes
{
    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/credits", GetBalance.HandleAsync).RequireScope(Scopes.Credits);
        app.MapPost("/v1/credits/top-ups", TopUpCredits.HandleAsync).RequireScope(Scopes.Credits);
        app.MapGet("/v1/credits/entries", ListEntries.HandleAsync).RequireScope(Scopes.Credits);
        app.MapGet("/v1/earnings", GetEarnings.HandleAsync).RequireScope(Scopes.Credits);

        app.MapPost("/internal/holds", PlaceHold.HandleAsync).RequireInternal(Apps.Scheduler);
        app.MapGet("/internal/books", ReadBooks.HandleAsync).RequireInternal();
    }
}
