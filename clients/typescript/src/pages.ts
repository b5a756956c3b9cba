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

/** Inserts an edge at the start of the list. A page that does not show the start is unchanged. */
export function prepend<P extends Page>(page: P, edge: P['edges'][number]): P {
  return page.pageInfo.hasPreviousPage ? page : withEdges(page, [edge, ...page.edges])
}

/** Removes the edge of a node. */
export function remove<P extends Page>(page: P, id: string): P {
  return withEdges(
    page,
    page.edges.filter(({ node }) => node.id !== id),
  )
}

/** Replaces the edges. `relayStylePagination` reads both end cursors from `pageInfo`. */
export function withEdges<P extends Page>(page: P, edges: P['edges']): P {
  const startCursor = edges.at(0)?.cursor ?? null
  const endCursor = edges.at(-1)?.cursor ?? null
  return { ...page, edges, pageInfo: { ...page.pageInfo, startCursor, endCursor } }
}
