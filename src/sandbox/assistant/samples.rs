//! What the assistant says about itself, and a piece of Markdown that shows every kind of block.

/// Who is speaking, said whenever it is asked or cannot answer.
const INTRODUCTION: &str = "\
I am not a language model. I am a small demo that looks for words it knows in your question and \
searches the sandbox's data for them.";

const ABILITIES: &str = "\
## What you can ask

| Try | What comes back |
| --- | --- |
| Open deals over 10000 | a table of deals |
| Contacts at Globex | the people of one company |
| Contacts in Lisbon | the people of one city |
| How many contacts? | a number |
| Overdue invoices | what is late |
| Tasks due this week | what to do next |
| Top 5 deals | the largest amounts |
| Revenue by stage | sums |
| Show contact Maria | one record, or everybody of that name |
| Make a contact Kim Roe, kim@roe.example, city Porto | a form to confirm, where I am given tools |
| Set the stage of deal 3 to Won | a change to confirm, in the same way |
| Show me some Markdown | headings, lists, a table and code |

There are twenty-four collections to ask about: contacts, deals, activities, tasks, opportunities; \
pages, posts, media, forms, templates; campaigns, e-mails, social posts, automations, leads; the \
overview and traffic; subscriptions, invoices, payment methods, usage; webhooks, API keys and \
third-party integrations. You see only what belongs to your own company. The [data pages](/data) \
show all of it.

## Demo switches

Put one of these into a message to see how the page copes:

- `/slow` streams the reply ten times slower.
- `/think` thinks before it replies.
- `/busy` refuses at first, and answers when it is asked again.
- `/fail` reports an error before the reply begins.
- `/break` reports an error in the middle of the reply.
- `/cut` drops the connection in the middle of the reply.
- `/long` sends a very long reply.
";

/// What it can do.
pub(super) fn help() -> String {
    format!("Hello. {INTRODUCTION}\n\n{ABILITIES}")
}

/// What it says when it understood nothing.
pub(super) fn unknown() -> String {
    format!("I cannot answer that. {INTRODUCTION}\n\n{ABILITIES}")
}

/// What it says to thanks.
pub(super) fn welcome() -> String {
    "You are welcome. Ask for **help** to see what else I can search.\n".to_owned()
}

/// Every kind of block in one reply.
pub(super) fn markdown() -> String {
    SAMPLE.to_owned()
}

const SAMPLE: &str = r#"# A Markdown sample

This reply shows what a reply can hold: **bold**, *italic*, ~~struck out~~, `code`, and a
[link to the data pages](/data).

## Lists

1. A numbered list
2. with a list inside:
   - one
   - two
     - and deeper
3. and an end

- [x] Sign in
- [x] Ask for a sample
- [ ] Ask about *your own* data

## A table

| Stage | Deals | Amount |
| --- | ---: | ---: |
| Qualified | 12 | 48,500 |
| Proposal | 9 | 61,250 |
| Won | 15 | 97,000 |

## A quote

> A breezeway is the covered passage between two buildings.
>
> It keeps the rain off while you carry things across.

## Code

Rust:

```rust
/// Adds up what is not lost yet.
fn open_amount(deals: &[Deal]) -> u64 {
    deals.iter().filter(|deal| deal.is_open()).map(|deal| deal.amount).sum()
}
```

TypeScript:

```typescript
type Deal = { name: string; stage: string; amount: number };

async function openDeals(): Promise<Deal[]> {
  const answer = await fetch("/api/brain/django-crm/deals?stage__in=Qualified,Proposal");
  if (!answer.ok) throw new Error(`The list did not load (${answer.status}).`);
  const { results } = await answer.json();
  return results;
}
```

## Formulas and notes

The mean[^mean] of $n$ amounts is $\bar{x} = \frac{1}{n}\sum_{i=1}^{n} x_i$, and

$$
\begin{aligned}
s^2 &= \frac{1}{n-1}\sum_{i=1}^{n}\left(x_i - \bar{x}\right)^2 \\
\sigma &= \sqrt{s^2}
\end{aligned}
$$

[^mean]: What each would have if all had the same.

---

That is all of it. Ask for **help** to see what I can search.
"#;
