interface Edge {
  readonly cursor: string
  readonly node: { readonly id: string }
}

interface Page {
  readonly edges: readonly Edge[]
  readonly pageInfo: {
    readonly hasPreviousPage: boolean
    readonly startCursor: string | null
    readonly endCursor: string | null
  }
}

/** The page with one more entry at its head; as it is when it does not show the head of the list. */
export function prepend<P extends Page>(page: P, edge: P['edges'][number]): P {
  return page.pageInfo.hasPreviousPage ? page : withEdges(page, [edge, ...page.edges])
}

export function remove<P extends Page>(page: P, id: string): P {
  return withEdges(
    page,
    page.edges.filter(({ node }) => node.id !== id),
  )
}

/** The page with other edges. `relayStylePagination` takes the cursors of the ends from `pageInfo`: they go along. */
export function withEdges<P extends Page>(page: P, edges: P['edges']): P {
  const startCursor = edges.at(0)?.cursor ?? null
  const endCursor = edges.at(-1)?.cursor ?? null
  return { ...page, edges, pageInfo: { ...page.pageInfo, startCursor, endCursor } }
}
